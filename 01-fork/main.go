// Command 01-fork uses every core the way Node has to: it forks one worker per
// CPU and gives each its share of a job. Then it does the same job alone, and
// with goroutines, and says what each way took.
//
// Usage: go run ./01-fork [-n 2] [-below 5000000] [-worker "node 01-fork/node/worker.js"]
//
// Read on in primary.go, worker.go and job.go; what it prints and measures is in
// report.go and measure.go. The page is docs/01-fork.md.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"runtime"

	"playing-with-processes/internal/ipc"
	"playing-with-processes/internal/program"
)

const usage = `Usage: 01-fork [-n workers] [-below number] [-worker "program and arguments"]
       01-fork worker

Counts primes with one forked process per CPU, each doing its share; then in one
goroutine; then in one goroutine per CPU; and compares time and memory.

  -n       how many workers, 1 to 512; without it one for each CPU that this
           process may use (GOMAXPROCS, which honours affinity and cgroup limits)
  -below   count the primes below this number, 1 to 1000000000; 5000000 if not given
  -worker  the workers' command line, split at blanks, e.g.
           "node 01-fork/node/worker.js"; without it this program again
  worker   be a worker: only for whoever forks this program, as Node can

Exit codes: 0 all well, 1 failure, 2 wrong use, 130 after Ctrl-C.
`

const (
	maxWorkers = 512           // each is a process of a few megabytes
	maxBelow   = 1_000_000_000 // some ten minutes on one core
)

// say prints a line that tells who speaks.
var say *log.Logger

func main() { program.Main("01-fork", usage, run) }

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	n := flags.Int("n", runtime.GOMAXPROCS(0), "")
	below := flags.Int("below", 5_000_000, "")
	line := flags.String("worker", "", "")
	if err := program.Parse(flags, args); err != nil {
		return err
	}
	switch {
	case flags.Arg(0) == "worker" && flags.NArg() == 1 && flags.NFlag() == 0:
		// The terminal's Ctrl-C is for the primary. Its end is the end of the channel.
		signal.Ignore(os.Interrupt)
		say = program.Speaker("worker")
		if err := worker(ctx); err != nil {
			return fmt.Errorf("worker: %w", err)
		}
		return nil
	case flags.NArg() > 0:
		return program.Misusef("unexpected arguments %q", flags.Args())
	case *n < 1 || *n > maxWorkers:
		return program.Misusef("-n %d: there can be 1 to %d workers", *n, maxWorkers)
	case *below < 1 || *below > maxBelow:
		return program.Misusef("-below %d: the number must be 1 to %d", *below, maxBelow)
	}
	say = program.Speaker("primary")
	return primary(ctx, shares(*n, *below), func() *exec.Cmd { return command(*line) })
}

// command is what a worker runs: line, or else this program in the role worker.
func command(line string) *exec.Cmd {
	if cmd := program.Command(line); cmd != nil {
		return cmd
	}
	return ipc.Self("worker")
}
