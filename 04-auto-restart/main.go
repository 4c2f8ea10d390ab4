// Command 04-auto-restart is a server that does not go down: a primary opens the
// port and hands it to its workers, and replaces whoever of them ends.
//
// Usage: go run ./04-auto-restart [-addr 127.0.0.1:1337] [-n 2] [-worker "node 04-auto-restart/node/worker.js"]
// or:    go run ./04-auto-restart -demo
//
// Read on in primary.go and supervised.go, then in worker.go, which is the other
// process. notice.go has what the two say to each other. How a worker is started and
// stopped is in internal/supervise, when it is started again is decided in
// internal/restart, and what it serves is internal/site. The demonstration is in
// demo.go, with internal/visitors, and the page is docs/04-auto-restart.md.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os/exec"
	"runtime"

	"playing-with-processes/internal/ipc"
	"playing-with-processes/internal/program"
)

const usage = `Usage: 04-auto-restart [-addr address] [-n workers] [-worker "program and arguments"]
       04-auto-restart -demo [the same]
       04-auto-restart worker

Serves HTTP from forked workers, and replaces each one that ends, until Ctrl-C
or SIGTERM: then it drains and ends.

  -addr    the address, 127.0.0.1:1337 if not given, with -demo any free port
  -n       how many workers, 1 to 512; without it one for each CPU that this
           process may use; with -demo 1 to 8, 2 if not given
  -worker  the workers' command line, split at blanks, e.g.
           "node 04-auto-restart/node/worker.js"; without it this program again
  -demo    play what can happen to a worker, as visitors see it, and end
  worker   be a worker: only for whoever forks this program, as Node can

Exit codes: 0 all well, 1 failure, 2 wrong use, 130 after Ctrl-C with -demo.
`

const (
	maxWorkers     = 512 // each is a process of a few megabytes
	demoWorkers    = 2
	maxDemoWorkers = 8 // the crash loop must bring them all down
)

// say prints a line that tells who speaks.
var say *log.Logger

func main() { program.Main("04-auto-restart", usage, run) }

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	address := flags.String("addr", "127.0.0.1:1337", "")
	n := flags.Int("n", runtime.GOMAXPROCS(0), "")
	line := flags.String("worker", "", "")
	playDemo := flags.Bool("demo", false, "")
	if err := program.Parse(flags, args); err != nil {
		return err
	}
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	most := maxWorkers
	if *playDemo {
		most = maxDemoWorkers
		if !given["n"] {
			*n = demoWorkers
		}
		if !given["addr"] {
			*address = "127.0.0.1:0"
		}
	}
	switch {
	case flags.Arg(0) == "worker" && flags.NArg() == 1 && len(given) == 0:
		say = program.Speaker("worker")
		if err := worker(ctx); err != nil {
			return fmt.Errorf("worker: %w", err)
		}
		return nil
	case flags.NArg() > 0:
		return program.Misusef("unexpected arguments %q", flags.Args())
	case *address == "": // net.Listen would take any
		return program.Misusef("-addr is empty")
	case *n < 1 || *n > most:
		return program.Misusef("-n %d: there can be 1 to %d workers", *n, most)
	}

	say = program.Speaker("primary")
	p, err := newPrimary(*address, *n, func() *exec.Cmd { return command(*line) })
	if err != nil {
		return err
	}
	if *playDemo {
		return demo(ctx, p)
	}
	p.invite()
	return p.run(ctx)
}

// command is what a worker runs: line, or else this program in the role worker.
func command(line string) *exec.Cmd {
	if cmd := program.Command(line); cmd != nil {
		return cmd
	}
	return ipc.Self("worker")
}
