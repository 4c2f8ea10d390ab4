package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"playing-with-processes/internal/supervise"
)

// primary does the whole job in three ways, and compares them.
func primary(ctx context.Context, parts []share, command func() *exec.Cmd) error {
	below := parts[0].Below
	say.Printf("the job: count the primes below %d; shares: %d", below, len(parts))

	processes, workers, err := inProcesses(ctx, parts, command)
	if err != nil {
		return err
	}
	alone, err := inGoroutines(ctx, shares(1, below))
	if err != nil {
		return err
	}
	goroutines, err := inGoroutines(ctx, parts)
	if err != nil {
		return err
	}
	if processes.primes != alone.primes || goroutines.primes != alone.primes {
		return fmt.Errorf("the counts differ: %v, %v, %v", alone, goroutines, processes)
	}
	report(os.Stdout, workers, alone, goroutines, processes)
	return nil
}

// way is one way of doing the whole job, and what it took.
type way struct {
	name      string
	primes    int
	wall, cpu time.Duration
}

func (w way) String() string { return fmt.Sprintf("%d by %s", w.primes, w.name) }

// inProcesses forks a worker for each part: primary.js. It needs no goroutine and
// no lock: what a worker has sent stays in its channel until it is read.
func inProcesses(ctx context.Context, parts []share, command func() *exec.Cmd) (way, []*forked, error) {
	done := way{name: plural(len(parts), "process", "processes")}
	var workers []*forked
	defer func() { // whatever happens, none is left
		for _, w := range workers {
			w.Kill(syscall.SIGKILL)
			w.Wait()
		}
	}()

	start := time.Now()
	for _, part := range parts {
		w, err := fork(ctx, command(), part)
		if err != nil {
			return done, nil, err
		}
		workers = append(workers, w)
	}
	for _, w := range workers {
		if err := w.collect(); err != nil {
			return done, nil, err
		}
		done.primes += w.result.Primes
	}
	done.wall = time.Since(start)

	for _, w := range workers { // while all are there: they share pages
		w.memory = supervise.Memory(w.Pid())
	}
	for _, w := range workers {
		if err := w.end(); err != nil {
			return done, nil, err
		}
		done.cpu += w.cpu
	}
	return done, workers, nil
}

// inGoroutines does each part in a goroutine of this process.
func inGoroutines(ctx context.Context, parts []share) (way, error) {
	done := way{name: plural(len(parts), "goroutine", "goroutines")}
	start, cpu := time.Now(), cpuTime()
	counts := make([]int, len(parts))
	var all sync.WaitGroup
	for i, part := range parts {
		all.Go(func() { counts[i], _ = part.count(ctx) })
	}
	all.Wait()
	done.wall, done.cpu = time.Since(start), cpuTime()-cpu
	for _, count := range counts {
		done.primes += count
	}
	return done, ctx.Err()
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n, " ", many)
}
