package main

import (
	"context"
	"os"

	"playing-with-processes/internal/ipc"
)

// Child is a forked program: started like any other, with a channel.
type Child struct {
	*ipc.Child
	*running
}

// Fork starts a program with a channel to it: cp.fork(module, args, {execPath}).
// It writes to this program's own standard output and error, and says by the
// channel what is meant for its parent: range over Messages, and then call Wait.
//
// The end of ctx signals the program and its descendants.
func Fork(ctx context.Context, opts Options, file string, args ...string) (*Child, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	cmd := command(opts, file, args)
	// Not os.Stdin: in its process group the program would be stopped for
	// reading from the terminal.
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	child, err := ipc.Fork(cmd)
	if err != nil {
		if script, ok := withoutInterpreter(err); ok {
			return Fork(ctx, opts, shell, append([]string{script}, args...)...)
		}
		return nil, startError(opts, file, err)
	}
	return &Child{child, watch(ctx, opts, child.Pid(), child.Wait)}, nil
}

// Wait waits for the exit. It returns an *ExitError if the program did not end
// with code 0, or was cancelled. It may be called when Messages has ended, or
// before: the exit ends them, after all that the program has written.
func (c *Child) Wait() error { return c.running.Wait() }
