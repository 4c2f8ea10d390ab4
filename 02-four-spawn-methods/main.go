// Command 02-four-spawn-methods runs one program by each of Node's four methods,
// spawn, exec, execFile and fork, and shows in a table what sets them apart.
//
// Usage: go run ./02-four-spawn-methods
//
// Each method can be read alone: spawn.go, exec.go, execfile.go and fork.go, over
// running.go, which ends what they start. The table is in table.go, how a method
// is tried in try.go, the program that is run in child.go. The page is docs/02-four-spawn-methods.md.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"

	"golang.org/x/sys/unix"

	"playing-with-processes/internal/program"
)

const usage = `Usage: 02-four-spawn-methods
       02-four-spawn-methods [options] METHOD PROGRAM [ARGUMENTS...]
       02-four-spawn-methods [options] exec 'COMMAND LINE'

Alone it compares spawn, exec, execFile and fork in a table of cases. With a
METHOD it runs any program by it, and prints what came of it, as the program of
the same name in 02-four-spawn-methods/node does. The options are Node's:

  -cwd DIRECTORY      where the program runs
  -timeout 1s         after this time it is sent the signal
  -abort 1s           the same, as from a caller who has lost interest
  -killSignal SIGINT  the signal; SIGTERM, if not given
  -maxBuffer 1048576  exec and execFile: bytes kept of each stream

The role child is for what the comparison starts.

Exit codes: 0 all well, 1 failure, 2 wrong use, 130 after Ctrl-C.
`

// say prints a line that tells who speaks.
var say *log.Logger

func main() {
	if len(os.Args) > 1 && os.Args[1] == "child" {
		if err := child(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(1)
		}
		return
	}
	program.Main("02-four-spawn-methods", usage, run)
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	cwd := flags.String("cwd", "", "")
	timeout := flags.Duration("timeout", 0, "")
	abort := flags.Duration("abort", 0, "")
	killSignal := flags.String("killSignal", "SIGTERM", "")
	maxBuffer := flags.Int("maxBuffer", 1<<20, "")
	if err := program.Parse(flags, args); err != nil {
		return err
	}
	opts := Options{Dir: *cwd, KillSignal: unix.SignalNum(*killSignal), MaxBuffer: *maxBuffer}
	switch {
	case opts.KillSignal == 0:
		return program.Misusef("-killSignal %s: there is no such signal", *killSignal)
	case *maxBuffer < 1:
		return program.Misusef("-maxBuffer %d: it must be at least 1", *maxBuffer)
	case *timeout < 0 || *abort < 0:
		return program.Misusef("-timeout and -abort cannot be negative")
	}
	say = program.Speaker("parent")
	switch {
	case flags.NFlag() == 0 && flags.NArg() == 0:
		return tour(ctx)
	case flags.NArg() < 2:
		return program.Misusef("a METHOD and a PROGRAM are wanted")
	}

	m, err := methodNamed(flags.Arg(0))
	if err != nil {
		return err
	}
	limit, cancel := limited(ctx, *timeout, *abort)
	defer cancel()
	o := m.try(limit, opts, flags.Arg(1), flags.Args()[2:]...)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return m.record(o).print(os.Stdout)
}
