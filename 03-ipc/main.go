// Command 03-ipc forks a child, and the two send each other one JSON message:
// the notes' parent.js and sub.js.
//
// Usage: go run ./03-ipc [-trace] [-child "node 03-ipc/node/sub.js"]
//
// Read on in parent.go, then sub.go. The page is docs/03-ipc.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"playing-with-processes/internal/ipc"
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
var say = log.New(os.Stdout, "", 0)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	flags := flag.NewFlagSet("03-ipc", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	trace := flags.Bool("trace", false, "")
	child := flags.String("child", "", "")
	err := flags.Parse(args)
	role := flags.Arg(0)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Print(usage)
		return 0
	case err != nil:
		return misused(err.Error())
	case flags.NArg() > 1 || role != "" && role != "sub":
		return misused(fmt.Sprintf("unexpected arguments %q", flags.Args()))
	case role == "sub" && *child != "":
		return misused("the child has no -child")
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var cfg ipc.Config
	if *trace {
		cfg.Trace = func(e ipc.Event) { say.Print(e) }
	}
	if role == "" {
		say.SetPrefix(fmt.Sprintf("[parent %d] ", os.Getpid()))
		err = parent(ctx, cfg, command(*child, *trace))
	} else {
		say.SetPrefix(fmt.Sprintf("[sub %d] ", os.Getpid()))
		err = sub(ctx, cfg)
	}
	switch {
	case ctx.Err() != nil:
		return complain(role, "interrupted", 130)
	case err != nil:
		return complain(role, err.Error(), 1)
	}
	return 0
}

func misused(why string) int { return complain("", why+" (-h explains)", 2) }

func complain(role, what string, code int) int {
	who := strings.TrimSpace("03-ipc " + role)
	fmt.Fprintf(os.Stderr, "%s: %s\n", who, what)
	return code
}

// command is what the child runs: line, or else this program in the role sub.
func command(line string, trace bool) *exec.Cmd {
	words := strings.Fields(line)
	switch {
	case len(words) > 0:
		cmd := exec.Command(words[0], words[1:]...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		return cmd
	case trace:
		return ipc.Self("-trace", "sub")
	}
	return ipc.Self("sub")
}
