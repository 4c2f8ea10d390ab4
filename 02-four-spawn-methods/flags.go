package main

import (
	"context"
	"flag"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"playing-with-processes/internal/cli"
	"playing-with-processes/internal/ipc"
)

const usage = `Usage: 02-four-spawn-methods
       02-four-spawn-methods [options] METHOD PROGRAM [ARGUMENTS...]
       02-four-spawn-methods [options] exec 'COMMAND LINE'

Without arguments it compares spawn, exec, execFile and fork in a table of cases.
With a METHOD it runs any program and prints the outcome, as the program of the
same name in 02-four-spawn-methods/node does. The options are Node's:

  -cwd DIRECTORY      where the program runs
  -timeout 1s         after this time the program is sent the signal
  -abort 1s           the same, as if the caller had canceled it
  -killSignal SIGINT  the signal, SIGTERM by default
  -maxBuffer 1048576  exec and execFile: how many bytes of each stream they keep

The role child is for what the comparison starts.

Exit codes: 0 success, 1 failure, 2 wrong usage, 130 after Ctrl-C.
`

// say prints a line that names this process.
var say *log.Logger

// options are the command line.
type options struct {
	Options
	timeout, abort  time.Duration
	method, program string
	args            []string // of the program
}

func run(ctx context.Context, args []string) error {
	ipc.HideChannel()
	var o options
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	flags.StringVar(&o.Dir, "cwd", "", "")
	flags.DurationVar(&o.timeout, "timeout", 0, "")
	flags.DurationVar(&o.abort, "abort", 0, "")
	flags.IntVar(&o.MaxBuffer, "maxBuffer", 1<<20, "")
	killSignal := flags.String("killSignal", "SIGTERM", "")
	if err := cli.Parse(flags, args); err != nil {
		return err
	}
	// Otherwise a program in a process group of its own would be stopped when it prints to
	// a terminal after `stty tostop`. It inherits this.
	signal.Ignore(syscall.SIGTTOU)
	o.KillSignal = unix.SignalNum(*killSignal)
	if signal.Ignored(o.KillSignal) { // as SIGHUP is under nohup: the program must not inherit that
		signal.Notify(make(chan os.Signal, 1), o.KillSignal)
	}
	say = cli.NewLogger("parent")
	switch {
	case o.KillSignal == 0:
		return cli.Usagef("-killSignal %s: there is no such signal", *killSignal)
	case o.MaxBuffer < 1:
		return cli.Usagef("-maxBuffer %d: it must be at least 1", o.MaxBuffer)
	case o.timeout < 0 || o.abort < 0:
		return cli.UsageError("-timeout and -abort cannot be negative")
	case flags.NFlag() == 0 && flags.NArg() == 0:
		return demonstrate(ctx)
	case flags.NArg() < 2:
		return cli.UsageError("a METHOD and a PROGRAM are needed")
	case strings.HasPrefix(flags.Arg(1), "-"):
		return cli.Usagef("%s must come before the METHOD", flags.Arg(1))
	}
	o.method, o.program, o.args = flags.Arg(0), flags.Arg(1), flags.Args()[2:]
	return runOnce(ctx, o)
}
