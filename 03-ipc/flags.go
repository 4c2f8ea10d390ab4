package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"

	"playing-with-processes/internal/cli"
	"playing-with-processes/internal/ipc"
)

const usage = `Usage: 03-ipc [-trace] [-child "program and arguments"]
       03-ipc [-trace] sub

Forks a child; each sends the other one JSON message, and both end.

  -child   the command line of the child, split at blanks, such as
           "node 03-ipc/node/sub.js"; by default this program, in the role sub
  -trace   show how the channel is made, and each line on it
  sub      be the child: for a program that forks this one, such as Node:
           fork('sub', { execPath: './03-ipc', execArgv: [] })

Exit codes: 0 success, 1 failure, 2 wrong usage, 130 after Ctrl-C.
`

// say prints a line that names this process.
var say *log.Logger

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	trace := flags.Bool("trace", false, "")
	child := flags.String("child", "", "")
	if err := cli.Parse(flags, args); err != nil {
		return err
	}
	role := flags.Arg(0)
	switch {
	case flags.NArg() > 1 || role != "" && role != "sub":
		return cli.Usagef("unexpected arguments %q", flags.Args())
	case role == "sub" && *child != "":
		return cli.UsageError("the child has no -child")
	}

	var cfg ipc.Config
	self := ipc.Self("sub")
	if *trace {
		cfg.Trace = func(e ipc.Event) { say.Print(e) }
		self = ipc.Self("-trace", "sub")
	}
	if role == "sub" {
		// The terminal's Ctrl-C is for the parent. When that ends, the channel ends.
		signal.Ignore(os.Interrupt)
		say = cli.NewLogger("sub")
		if err := sub(ctx, cfg); err != nil {
			return fmt.Errorf("sub: %w", err)
		}
		return nil
	}
	ipc.HideChannel()
	say = cli.NewLogger("parent")
	return parent(ctx, cfg, cmp.Or(cli.Command(*child), self))
}
