// Command 03-ipc forks a child, and the two send each other one JSON message: the notes'
// parent.js and sub.js.
//
// Usage: go run ./03-ipc [-trace] [-child "node 03-ipc/node/sub.js"]
//
// This file is both of the notes' programs. The command line is in flags.go. The channel is
// package internal/ipc; read it next, from ipc.go on. The page is docs/03-ipc.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"

	"playing-with-processes/internal/cli"
	"playing-with-processes/internal/ipc"
)

// parent is parent.js. It forks a child, sends and receives a message, and waits for the end
// of the child.
func parent(ctx context.Context, cfg ipc.Config, cmd *exec.Cmd) error {
	child, err := cfg.Fork(cmd) // const n = cp.fork(__dirname + '/sub.js')
	if err != nil {
		return err
	}
	say.Printf("forked %d", child.Pid())
	// Ctrl-C reaches the child, too, but a child that is another program may ignore it.
	defer context.AfterFunc(ctx, func() { child.Kill(syscall.SIGKILL) })()

	err = talk(ctx, child)
	child.Disconnect() // without this neither process would end
	exit, waitErr := child.Wait()
	say.Printf("child %d exited with %v", child.Pid(), exit)
	switch {
	case exit.Signal == syscall.SIGINT: // the terminal sends it to both of us
		return cli.ErrInterrupted
	case err == nil && exit != (ipc.Exit{}):
		err = fmt.Errorf("the child failed: %v", exit)
	}
	return errors.Join(err, waitErr, ctx.Err())
}

// talk sends one message to the child, and prints one from it.
func talk(ctx context.Context, child *ipc.Child) error {
	err := child.Send(ctx, map[string]string{"hello": "HELLO"}) // n.send({hello: 'HELLO'})
	switch {
	case err == nil:
		say.Print(`sent {"hello":"HELLO"}`)
	case !errors.Is(err, ipc.ErrClosed): // a child that is gone may have left a message
		return err
	}

	message, err := child.Receive() // n.on('message', function (m) { … })
	if err == io.EOF {
		return errors.New("the child ended without a message")
	}
	if err != nil {
		return err
	}
	if err := message.Decode(new(any)); err != nil { // is it JSON?
		return err
	}
	say.Printf("message from child %d: %s", child.Pid(), message.Data)
	return nil
}

// sub is sub.js. It sends one message, and prints those of the parent until the parent
// disconnects.
func sub(ctx context.Context, cfg ipc.Config) error {
	parent, err := cfg.Parent()
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { parent.Disconnect() })()

	if err := parent.Send(ctx, map[string]string{"foo": "bar"}); err != nil { // process.send({foo: 'bar'})
		return err
	}
	say.Print(`sent {"foo":"bar"}`)

	for message, err := range parent.Messages() { // process.on('message', function (m) { … })
		if err != nil {
			return err
		}
		if err := message.Decode(new(any)); err != nil {
			return err
		}
		say.Printf("message from parent %d: %s", os.Getppid(), message.Data)
	}
	if ctx.Err() == nil {
		say.Print("the parent has disconnected")
	}
	return ctx.Err()
}

func main() { cli.Main("03-ipc", usage, run) }
