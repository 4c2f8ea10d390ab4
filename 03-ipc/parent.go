package main

import (
	"context"
	"errors"
	"os/exec"
	"syscall"

	"playing-with-processes/internal/ipc"
	"playing-with-processes/internal/program"
)

// parent forks a child, talks with it, and waits for its end: parent.js.
func parent(ctx context.Context, cfg ipc.Config, cmd *exec.Cmd) error {
	child, err := cfg.Fork(cmd)
	if err != nil {
		return err
	}
	say.Printf("forked %d", child.Pid())
	// Ctrl-C reaches the child too, but a program that is not ours may ignore it.
	defer context.AfterFunc(ctx, func() { child.Kill(syscall.SIGKILL) })()

	err = greet(ctx, child)
	child.Disconnect() // without it neither process would ever end
	exit, waitErr := child.Wait()
	say.Printf("child %d exited with %v", child.Pid(), exit)
	if exit.Signal == syscall.SIGINT {
		return program.ErrInterrupted
	}
	return errors.Join(err, waitErr, ctx.Err())
}

// greet sends one message and prints one.
func greet(ctx context.Context, child *ipc.Child) error {
	err := child.Send(ctx, map[string]string{"hello": "HELLO"})
	switch {
	case err == nil:
		say.Print(`sent {"hello":"HELLO"}`)
	case !errors.Is(err, ipc.ErrClosed): // one that is gone may have left a message
		return err
	}

	for message, err := range child.Messages() {
		if err != nil {
			return err
		}
		var value any // any JSON will do: it is printed as it came
		if err := message.Decode(&value); err != nil {
			return err
		}
		say.Printf("message from child %d: %s", child.Pid(), message.Data)
		return nil // one is enough
	}
	return errors.New("the child ended without a message")
}
