package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"syscall"
	"time"

	"playing-with-processes/internal/program"

	"golang.org/x/sys/unix"
)

// outcome is what came of one run.
type outcome struct {
	stdout, stderr []byte            // of Spawn, Exec and ExecFile
	messages       []json.RawMessage // of Fork
	err            error
	killed         bool          // of Spawn and Fork: our signal was sent, whatever came of it
	first, last    time.Duration // until the first output could be used, and until the end
}

// A method is one of the four, and how a program is run to its end by it.
type method struct {
	name string
	try  func(ctx context.Context, opts Options, file string, args ...string) outcome
}

var methods = []method{
	{"spawn", trySpawn},
	{"exec", tryExec},
	{"execFile", tryExecFile},
	{"fork", tryFork},
}

// methodNamed finds a method by its name, or by that of its file.
func methodNamed(name string) (method, error) {
	for _, m := range methods {
		if strings.EqualFold(m.name, name) {
			return m, nil
		}
	}
	return method{}, program.Misusef("%q is none of spawn, exec, execFile, fork", name)
}

// record is an outcome in Node's words, as node/*.js print it.
type record struct {
	*written
	*received
	end
}

type written struct {
	Stdout string `json:"stdout"`
	Stderr string `json:"stderr"`
}

type received struct {
	Messages []json.RawMessage `json:"messages"`
}

// end says what went wrong in Error, and else how the program ended.
type end struct {
	Error  string  `json:"error"`
	Code   *int    `json:"code"`
	Signal *string `json:"signal"`
	Killed bool    `json:"killed"`
}

func (m method) record(o outcome) record {
	r := record{end: endOf(o.err)}
	if m.name == "fork" {
		r.received = &received{o.messages}
	} else {
		r.written = &written{string(o.stdout), string(o.stderr)}
	}
	r.Killed = r.Killed || o.killed && r.Error == ""
	return r
}

func endOf(err error) end {
	var errno syscall.Errno
	exit := new(ExitError)
	switch {
	case err == nil:
		return end{Code: new(int)}
	case errors.Is(err, ErrMaxBuffer):
		return end{Error: "ERR_CHILD_PROCESS_STDIO_MAXBUFFER"}
	case errors.Is(err, context.Canceled):
		return end{Error: "ABORT_ERR"}
	case errors.As(err, &exit) && exit.Signal != 0:
		name := unix.SignalName(exit.Signal)
		return end{Signal: &name, Killed: exit.Killed}
	case errors.As(err, &exit):
		return end{Code: &exit.Code, Killed: exit.Killed}
	case errors.As(err, &errno):
		return end{Error: unix.ErrnoName(errno)}
	}
	return end{Error: err.Error()}
}
