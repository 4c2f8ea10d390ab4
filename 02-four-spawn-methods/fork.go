package main

import (
	"context"
	"os"

	"playing-with-processes/internal/ipc"
)

// Child is a started program with a channel.
type Child struct {
	*ipc.Child
	*running
}

// Fork starts a program with a channel to it: cp.fork(module, args, {execPath}). The program
// has our standard output and error. Range over its Messages, and then call Wait.
//
// The end of ctx signals the program and its descendants.
func Fork(ctx context.Context, opts Options, file string, args ...string) (*Child, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	cmd := command(opts, file, args)
	// Not os.Stdin: a process group in the background is stopped when it reads from the
	// terminal.
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	child, err := ipc.Fork(cmd)
	if err != nil {
		if script, ok := withoutInterpreter(err); ok {
			return Fork(ctx, opts, shell, append([]string{script}, args...)...)
		}
		return nil, startError(opts, file, err)
	}
	r := watch(ctx, opts, child.Pid(), child.Wait)
	go r.reap() // ends the messages, though a descendant may hold the channel
	return &Child{child, r}, nil
}

// Wait waits for the exit. It returns an *ExitError if the program did not end with code 0, or
// was canceled. The exit ends Messages, after everything that the program has written, so Wait
// may be called before or after that.
func (c *Child) Wait() error { return c.running.Wait() }
