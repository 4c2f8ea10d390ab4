package main

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// result is what one way of doing the job took.
type result struct {
	name      string
	primes    int
	wall, cpu time.Duration
}

func (r result) String() string { return fmt.Sprintf("%d by %s", r.primes, r.name) }

// cpus returns how many processors were at work, on average.
func (r result) cpus() float64 { return r.cpu.Seconds() / r.wall.Seconds() }

// over returns how many times as long as other r took.
func (r result) over(other result) float64 { return r.wall.Seconds() / other.wall.Seconds() }

// report prints what the workers did, what each way took, and what that means.
func report(out io.Writer, children []*child, alone, goroutines, processes result) {
	fmt.Fprintf(out, "\n%-9s %-10s %9s %11s %11s %9s\n",
		"worker", "share", "primes", "CPU time", "wall time", "memory")
	var memory int64
	for _, c := range children {
		wall := time.Duration(c.counted.Wall * float64(time.Second))
		fmt.Fprintf(out, "%-9d %-10s %9d %11s %11s %9s\n", c.Pid(),
			fmt.Sprint(c.part.Number+1, " of ", c.part.Of), c.counted.Primes,
			seconds(c.cpu), seconds(wall), size(c.memory))
		memory += c.memory / int64(len(children))
	}

	fmt.Fprintf(out, "\n%-20s %9s %11s %11s %9s %9s\n",
		"the whole job in", "primes", "CPU time", "wall time", "CPUs used", "speed-up")
	for _, r := range []result{alone, goroutines, processes} {
		fmt.Fprintf(out, "%-20s %9d %11s %11s %9.2f %9.2f\n", r.name, r.primes,
			seconds(r.cpu), seconds(r.wall), r.cpus(), alone.over(r))
	}

	fmt.Fprint(out, "\n", verdict(len(children), runtime.GOMAXPROCS(0), runtime.NumCPU(), alone, goroutines, processes))
	fmt.Fprint(out, memoryLine(memory, goroutineMemory()))
	fmt.Fprint(out, "In Go one process already uses every CPU. What another process buys is\n"+
		"isolation: it can crash, be killed or be limited by itself.\n")
}

// tooSmall is a job that takes no longer than the start of a process or two.
const tooSmall = 50 * time.Millisecond

// nearly is the part of a full figure that still counts as full: such measurements differ by
// some tenth from one run to the next.
const nearly = 0.85

// verdict says what the figures mean, and what they do not. gomaxprocs is how many CPUs a Go
// process uses at a time, cpus how many it may use.
func verdict(n, gomaxprocs, cpus int, alone, goroutines, processes result) string {
	if alone.wall < tooSmall {
		return "The job is too small to compare: counting took less than starting.\n"
	}
	var text strings.Builder
	if n > 1 {
		fmt.Fprintf(&text, "%s were %.2f times as fast as 1 goroutine, %s %.2f times.\n",
			goroutines.name, alone.over(goroutines), processes.name, alone.over(processes))
	}
	switch {
	case cpus == 1:
		fmt.Fprintln(&text, "Only one CPU is allowed here: more workers take turns on it.")
	case gomaxprocs < cpus && n > gomaxprocs:
		fmt.Fprintf(&text, "GOMAXPROCS lets one Go process use only %d of %d CPUs.\n", gomaxprocs, cpus)
	case n == 1:
		fmt.Fprintf(&text, "There are %d CPUs, and one worker uses one of them.\n", cpus)
	case n > cpus:
		fmt.Fprintf(&text, "Only %d CPUs are allowed here: more workers take turns on them.\n", cpus)
	}
	return text.String() + alone.caveat(1, alone) +
		goroutines.caveat(min(n, gomaxprocs, cpus), alone) + processes.caveat(min(n, cpus), alone)
}

// caveat says what distorts a result, or returns "".
func (r result) caveat(usable int, alone result) string {
	switch {
	case r.cpus() < nearly*float64(usable):
		return fmt.Sprintf("%s had %.2f of %s: other programs, or a limit, took the rest.\n",
			r.name, r.cpus(), plural(usable, "CPU", "CPUs"))
	case nearly*r.cpu.Seconds() > alone.cpu.Seconds():
		return fmt.Sprintf("%s took %.2f times the CPU time of 1 goroutine: a start costs some,\n"+
			"and CPUs that are two halves of one core slow each other down.\n",
			r.name, r.cpu.Seconds()/alone.cpu.Seconds())
	}
	return ""
}

// memoryLine compares one more worker with one more goroutine, in bytes.
func memoryLine(worker, goroutine int64) string {
	if worker == 0 {
		return fmt.Sprintf("One more goroutine takes %s; what one more worker takes, only Linux tells.\n", size(goroutine))
	}
	return fmt.Sprintf("Memory of one more: worker %s (PSS), goroutine %s, %d times less.\n",
		size(worker), size(goroutine), worker/goroutine)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

// size formats a number of bytes for people; 0 is unknown.
func size(bytes int64) string {
	switch {
	case bytes == 0:
		return "?"
	case bytes < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(bytes)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n, " ", many)
}

// cpuTime returns the processor time that this process has used so far.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage) // cannot fail for this process
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// goroutineMemory returns how much memory one more blocked goroutine takes, in bytes.
func goroutineMemory() int64 {
	const many = 1000
	before := memoryInUse()
	var started, ended sync.WaitGroup
	release := make(chan struct{})
	started.Add(many)
	for range many {
		ended.Go(func() {
			started.Done()
			<-release
		})
	}
	started.Wait()
	used := memoryInUse() - before
	close(release)
	ended.Wait()
	return used / many
}

func memoryInUse() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.StackInuse + stats.HeapInuse)
}
