package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"runtime"

	"playing-with-processes/internal/cli"
	"playing-with-processes/internal/ipc"
)

const usage = `Usage: 01-fork [-n workers] [-below number] [-worker "program and arguments"]
       01-fork worker

Counts primes in one forked process per CPU, each with its share of the job; then
in one goroutine; then in one goroutine per CPU; and compares time and memory.

  -n       how many workers, 1 to 512: by default one for each CPU that this
           process may use (GOMAXPROCS, which honours affinity and cgroup limits)
  -below   count the primes below this number, 1 to 1000000000; 5000000 by default
  -worker  the command line of a worker, split at blanks, such as
           "node 01-fork/node/worker.js"; by default this program
  worker   be a worker: for a program that forks this one, such as Node

Exit codes: 0 success, 1 failure, 2 wrong usage, 130 after Ctrl-C.
`

const (
	maxWorkers = 512           // each is a process of a few megabytes
	maxBelow   = 1_000_000_000 // some ten minutes on one core
)

// say prints a line that names this process.
var say *log.Logger

// options are the command line of the primary.
type options struct {
	n, below int
	worker   string
}

func run(ctx context.Context, args []string) error {
	var o options
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	flags.IntVar(&o.n, "n", runtime.GOMAXPROCS(0), "")
	flags.IntVar(&o.below, "below", 5_000_000, "")
	flags.StringVar(&o.worker, "worker", "", "")
	if err := cli.Parse(flags, args); err != nil {
		return err
	}
	switch {
	case flags.Arg(0) == "worker" && flags.NArg() == 1 && flags.NFlag() == 0:
		// The terminal's Ctrl-C is for the primary. When that ends, the channel ends.
		signal.Ignore(os.Interrupt)
		say = cli.NewLogger("worker")
		if err := worker(ctx); err != nil {
			return fmt.Errorf("worker: %w", err)
		}
		return nil
	case flags.NArg() > 0:
		return cli.Usagef("unexpected arguments %q", flags.Args())
	case o.n < 1 || o.n > maxWorkers:
		return cli.Usagef("-n %d: there can be 1 to %d workers", o.n, maxWorkers)
	case o.below < 1 || o.below > maxBelow:
		return cli.Usagef("-below %d: the number must be 1 to %d", o.below, maxBelow)
	}
	ipc.HideChannel()
	say = cli.NewLogger("primary")
	return primary(ctx, o)
}

// command returns what a worker runs: what -worker says, or this program in the role worker.
func (o options) command() *exec.Cmd { return cmp.Or(cli.Command(o.worker), ipc.Self("worker")) }
