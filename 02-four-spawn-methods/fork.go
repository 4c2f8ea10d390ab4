package main

import (
	"context"
	"os"
	"os/exec"

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
	c := new(Child)
	if _, err := start(opts, file, args, c.start); err != nil {
		return nil, err
	}
	c.running = watch(ctx, opts, c.Pid(), c.Child.Wait)
	go c.reap() // ends the messages, though a descendant may hold the channel
	return c, nil
}

func (c *Child) start(cmd *exec.Cmd) (err error) {
	// Not os.Stdin: a process group in the background is stopped when it reads from the
	// terminal.
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	c.Child, err = ipc.Fork(cmd)
	return err
}

// Wait waits for the exit. It returns an *ExitError if the program did not end with code 0, or
// was canceled. The exit ends Messages, after everything that the program has written, so Wait
// may be called before or after that.
func (c *Child) Wait() error { return c.running.Wait() }
