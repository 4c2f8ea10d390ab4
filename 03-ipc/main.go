// Command 03-ipc forks a child, and the two send each other one JSON message:
// the notes' parent.js and sub.js.
//
// Usage: go run ./03-ipc [-trace] [-child "node 03-ipc/node/sub.js"]
//
// Read on in parent.go, then sub.go. The page is docs/03-ipc.md.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"

	"playing-with-processes/internal/ipc"
	"playing-with-processes/internal/program"
)

const usage = `Usage: 03-ipc [-trace] [-child "program and arguments"]
       03-ipc [-trace] sub

Forks a child; each sends the other one JSON message, and both end.

  -child   the child's command line, split at blanks, e.g. "node 03-ipc/node/sub.js";
           without it the child is this program again, in the role sub
  -trace   show how the channel is made, and each line on it
  sub      be the child: only for whoever forks this program, as Node can:
           fork('sub', { execPath: './03-ipc' })

Exit codes: 0 all well, 1 failure, 2 wrong use, 130 after Ctrl-C.
`

// say prints a line that tells who speaks.
var say *log.Logger

func main() { program.Main("03-ipc", usage, run) }

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	trace := flags.Bool("trace", false, "")
	child := flags.String("child", "", "")
	if err := program.Parse(flags, args); err != nil {
		return err
	}
	role := flags.Arg(0)
	switch {
	case flags.NArg() > 1 || role != "" && role != "sub":
		return program.Misusef("unexpected arguments %q", flags.Args())
	case role == "sub" && *child != "":
		return program.Misusef("the child has no -child")
	}

	var cfg ipc.Config
	if *trace {
		cfg.Trace = func(e ipc.Event) { say.Print(e) }
	}
	if role == "sub" {
		// The terminal's Ctrl-C is for the parent. Its end is the end of the channel.
		signal.Ignore(os.Interrupt)
		say = program.Speaker("sub")
		if err := sub(ctx, cfg); err != nil {
			return fmt.Errorf("sub: %w", err)
		}
		return nil
	}
	say = program.Speaker("parent")
	return parent(ctx, cfg, command(*child, *trace))
}

// command is what the child runs: line, or else this program in the role sub.
func command(line string, trace bool) *exec.Cmd {
	cmd := program.Command(line)
	switch {
	case cmd != nil:
		return cmd
	case trace:
		return ipc.Self("-trace", "sub")
	}
	return ipc.Self("sub")
}
