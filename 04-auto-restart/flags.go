package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"os/exec"
	"runtime"
	"slices"
	"time"

	"playing-with-processes/internal/cli"
	"playing-with-processes/internal/demo"
	"playing-with-processes/internal/ipc"
	"playing-with-processes/internal/restart"
	"playing-with-processes/internal/supervise"
)

const usage = `Usage: 04-auto-restart [-addr address] [-n workers]
                       [-worker "program and arguments"]
                       [-ready time] [-drain time] [-trace]
       04-auto-restart -demo [the same flags]
       04-auto-restart worker

Serves HTTP from forked workers and replaces each worker that ends. On Ctrl-C
or SIGTERM the workers finish their requests, and the primary exits.

  -addr    the address: 127.0.0.1:1337 by default, any free port with -demo
  -n       how many workers, 1 to 512: by default one for each CPU that this
           process may use; with -demo 1 to 8, by default 2
  -worker  the command line of a worker, split at blanks, such as
           "node 04-auto-restart/node/worker.js"; by default this program
  -ready   how long a worker may take to get ready, 10s by default; then it is
           killed
  -drain   how long a worker that stops may finish its requests, 5s by default;
           then it is terminated
  -trace   show each line on the channels
  -demo    show what can happen to a worker and what the clients see of it
  worker   be a worker: for a program that forks this one, such as Node

Exit codes: 0 success, 1 failure, 2 wrong usage, 130 after Ctrl-C with -demo.
`

const (
	maxWorkers     = 512 // each is a process of a few megabytes
	demoWorkers    = 2
	maxDemoWorkers = 8 // the crash loop must end them all
)

// say prints a line that names this process.
var say *log.Logger

// options are the command line of the primary.
type options struct {
	addr    string
	n       int
	command func(*supervise.Worker) *exec.Cmd // what a worker runs
	ready   time.Duration
	drain   time.Duration
	trace   func(*supervise.Worker, ipc.Event)
	demo    bool
	policy  restart.Policy // when a failed worker is started again
}

func run(ctx context.Context, args []string) error {
	if slices.Equal(args, []string{"worker"}) {
		cli.Stdout.Outlive()
		say = cli.NewLogger("worker")
		if err := worker(ctx); err != nil {
			return fmt.Errorf("worker: %w", err)
		}
		return nil
	}
	ipc.HideChannel()
	say = cli.NewServerLogger("primary")
	o, err := parse(args)
	if err != nil {
		return err
	}
	if !o.demo {
		cli.Stdout.Outlive()
	}
	return primary(ctx, o)
}

func parse(args []string) (o options, err error) {
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	flags.StringVar(&o.addr, "addr", "127.0.0.1:1337", "")
	flags.IntVar(&o.n, "n", runtime.GOMAXPROCS(0), "")
	worker := flags.String("worker", "", "")
	flags.DurationVar(&o.ready, "ready", 10*time.Second, "")
	flags.DurationVar(&o.drain, "drain", 5*time.Second, "")
	trace := flags.Bool("trace", false, "")
	flags.BoolVar(&o.demo, "demo", false, "")
	if err := cli.Parse(flags, args); err != nil {
		return o, err
	}
	given, most := cli.Given(flags), maxWorkers
	if o.demo {
		most = maxDemoWorkers
	}
	if o.demo && !given["n"] {
		o.n = demoWorkers
	}
	if o.demo && !given["addr"] {
		o.addr = "127.0.0.1:0"
	}
	switch {
	case flags.NArg() > 0:
		return o, cli.Usagef("unexpected arguments %q", flags.Args())
	case o.addr == "": // net.Listen would take any address
		return o, cli.UsageError("-addr is empty")
	case o.n < 1 || o.n > most:
		return o, cli.Usagef("-n %d: there can be 1 to %d workers", o.n, most)
	case o.ready <= 0:
		return o, cli.Usagef("-ready %v: it must be more than 0", o.ready)
	case o.drain <= 0:
		return o, cli.Usagef("-drain %v: it must be more than 0", o.drain)
	}
	o.command = workerCommand(*worker)
	if *trace {
		o.trace = func(w *supervise.Worker, e ipc.Event) { say.Printf("channel %d: %v", w.ID(), e) }
	}
	o.policy = restart.Default(o.n)
	return o, nil
}

// workerCommand returns what a worker runs: what -worker says, or this program in the role
// worker.
func workerCommand(words string) func(*supervise.Worker) *exec.Cmd {
	return func(*supervise.Worker) *exec.Cmd {
		cmd := cli.Command(words)
		if cmd == nil {
			cmd = ipc.Self("worker")
		}
		cmd.Stdin = nil // a process group in the background cannot read from the terminal
		return cmd
	}
}

// printHints says what to try.
func printHints(address net.Addr) {
	demo.PrintHints(say, address.String(),
		fmt.Sprintf("curl %v/retire asks to be replaced", address))
}
