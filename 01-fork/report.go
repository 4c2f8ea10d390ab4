package main

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"
)

// report prints what the workers did, what each way took, and what that means.
func report(out io.Writer, workers []*forked, alone, goroutines, processes way) {
	fmt.Fprintf(out, "\n%-9s %-10s %9s %11s %11s %9s\n",
		"worker", "share", "primes", "CPU time", "wall time", "memory")
	var memory int64
	for _, w := range workers {
		wall := time.Duration(w.result.Wall * float64(time.Second))
		fmt.Fprintf(out, "%-9d %-10s %9d %11s %11s %9s\n", w.Pid(),
			fmt.Sprint(w.part.Number+1, " of ", w.part.Of), w.result.Primes,
			seconds(w.cpu), seconds(wall), size(w.memory))
		memory += w.memory / int64(len(workers))
	}

	fmt.Fprintf(out, "\n%-20s %9s %11s %11s %9s %9s\n",
		"the whole job in", "primes", "CPU time", "wall time", "CPUs used", "speed-up")
	for _, w := range []way{alone, goroutines, processes} {
		fmt.Fprintf(out, "%-20s %9d %11s %11s %9.2f %9.2f\n", w.name, w.primes,
			seconds(w.cpu), seconds(w.wall), w.cpus(), alone.over(w))
	}

	fmt.Fprint(out, "\n", verdict(len(workers), runtime.GOMAXPROCS(0), runtime.NumCPU(), alone, goroutines, processes))
	fmt.Fprint(out, memoryLine(memory, goroutineMemory()))
	fmt.Fprint(out, "In Go one process already uses every CPU. What another process buys is\n"+
		"isolation: it can crash, be killed or be limited by itself.\n")
}

// verdict says what the figures mean, and what they do not. gomaxprocs is how many
// CPUs a Go process uses at a time, cpus how many it is allowed to.
func verdict(n, gomaxprocs, cpus int, alone, goroutines, processes way) string {
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
	explain := func(w way, usable int) {
		switch {
		case w.cpus() < nearly*float64(usable):
			fmt.Fprintf(&text, "%s had %.2f of %s: other programs, or a limit, took the rest.\n",
				w.name, w.cpus(), plural(usable, "CPU", "CPUs"))
		case nearly*w.cpu.Seconds() > alone.cpu.Seconds():
			fmt.Fprintf(&text, "%s took %.2f times the CPU time of 1 goroutine: a start costs some,\n"+
				"and CPUs that are two halves of one core slow each other down.\n",
				w.name, w.cpu.Seconds()/alone.cpu.Seconds())
		}
	}
	explain(alone, 1)
	explain(goroutines, min(n, gomaxprocs, cpus))
	explain(processes, min(n, cpus))
	return text.String()
}

// tooSmall is a job that takes no longer than the start of a process or two.
const tooSmall = 50 * time.Millisecond

// nearly is the part of a full figure that still passes for it: such
// measurements differ by some tenth from one run to the next.
const nearly = 0.85

// memoryLine compares one more worker with one more goroutine, in bytes.
func memoryLine(worker, goroutine int64) string {
	if worker == 0 {
		return fmt.Sprintf("One more goroutine takes %s; what one more worker takes, only Linux tells.\n", size(goroutine))
	}
	return fmt.Sprintf("Memory of one more: worker %s (PSS), goroutine %s, %d times less.\n",
		size(worker), size(goroutine), worker/goroutine)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

// size is a number of bytes for people; 0 is unknown.
func size(bytes int64) string {
	switch {
	case bytes == 0:
		return "?"
	case bytes < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(bytes)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
}

// cpus is how many processors were at work, on average.
func (w way) cpus() float64 { return w.cpu.Seconds() / w.wall.Seconds() }

// over is how many times as long as other w took.
func (w way) over(other way) float64 { return w.wall.Seconds() / other.wall.Seconds() }
