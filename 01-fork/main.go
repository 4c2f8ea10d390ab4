// Command 01-fork uses every core in Node's way: it forks one worker per CPU and gives each a
// share of a job. Then it does the same job in one goroutine, and in one goroutine per CPU,
// and compares time and memory.
//
// Usage: go run ./01-fork [-n 2] [-below 5000000] [-worker "node 01-fork/node/worker.js"]
//
// This file is the notes' first listing, with something to do for the workers. Read worker.go
// next, which is the other process, then child.go, which is a worker as the primary sees it,
// and job.go. report.go measures and prints the figures; the command line is in flags.go. The
// page is docs/01-fork.md.
package main

import (
	"context"
	"fmt"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"playing-with-processes/internal/cli"
	"playing-with-processes/internal/supervise"
)

// primary does the job in three ways, and compares them.
func primary(ctx context.Context, o options) error {
	say.Printf("the job: count the primes below %d; shares: %d", o.below, o.n)
	shares := split(o.n, o.below) // const cpus = require('os').cpus()
	processes, children, err := inProcesses(ctx, shares, o.command)
	if err != nil {
		return err
	}
	alone, err := inGoroutines(ctx, split(1, o.below))
	if err != nil {
		return err
	}
	goroutines, err := inGoroutines(ctx, shares)
	if err != nil {
		return err
	}
	if processes.primes != alone.primes || goroutines.primes != alone.primes {
		return fmt.Errorf("the counts differ: %v, %v, %v", alone, goroutines, processes)
	}
	report(cli.Stdout, children, alone, goroutines, processes)
	return nil
}

// inProcesses forks a worker for each share, and collects what they send. It needs neither a
// goroutine nor a lock: a message waits in its channel until it is read.
func inProcesses(ctx context.Context, shares []share, command func() *exec.Cmd) (result, []*child, error) {
	done := result{name: plural(len(shares), "process", "processes")}
	var children []*child
	defer func() { // on every return, no process is left
		for _, c := range children {
			c.Kill(syscall.SIGKILL)
			c.Wait()
		}
	}()

	start := time.Now()
	for _, part := range shares { // for (let i = 0; i < cpus.length; i++)
		c, err := fork(ctx, command(), part) // fork('./index.js')
		if err != nil {
			return done, nil, err
		}
		children = append(children, c)
	}
	for _, c := range children {
		if err := c.collect(); err != nil {
			return done, nil, err
		}
		done.primes += c.counted.Primes
	}
	done.wall = time.Since(start)

	for _, c := range children { // while all of them run: they share pages
		c.memory = supervise.Memory(c.Pid())
	}
	for _, c := range children {
		if err := c.end(); err != nil {
			return done, nil, err
		}
		done.cpu += c.cpu
	}
	return done, children, nil
}

// inGoroutines counts each share in a goroutine of this process.
func inGoroutines(ctx context.Context, shares []share) (result, error) {
	done := result{name: plural(len(shares), "goroutine", "goroutines")}
	start, cpu := time.Now(), cpuTime()
	counts := make([]int, len(shares))
	var all sync.WaitGroup
	for i, part := range shares {
		all.Go(func() { counts[i], _ = part.count(ctx) })
	}
	all.Wait()
	done.wall, done.cpu = time.Since(start), cpuTime()-cpu
	for _, count := range counts {
		done.primes += count
	}
	return done, ctx.Err()
}

func main() { cli.Main("01-fork", usage, run) }
