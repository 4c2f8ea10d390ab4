package main

import (
	"cmp"
	"context"
	"io"
	"os/exec"

	"playing-with-processes/internal/ipc"
)

// Process is a started program with its streams, which are pipes. The exit of the program
// closes Stdin.
type Process struct {
	Stdin          io.WriteCloser
	Stdout, Stderr io.ReadCloser
	*running
}

// Spawn starts a program and returns its streams: cp.spawn(file, args). It collects nothing:
// if its output is not read, the program stops when the pipe is full. Read both streams to the
// end, and then call Wait. After an error, which is one of start's, no program runs.
//
// The end of ctx signals the program and its descendants, also after the program's exit, until
// Wait is called.
func Spawn(ctx context.Context, opts Options, file string, args ...string) (*Process, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p := new(Process)
	cmd, err := start(opts, file, args, p.start)
	if err != nil {
		return nil, err
	}
	wait := func() (ipc.Exit, error) {
		// Not cmd.Wait, which would close the other streams as well.
		state, err := cmd.Process.Wait()
		if err != nil {
			return ipc.Exit{}, err
		}
		return ipc.ExitOf(state), nil
	}
	p.running = watch(ctx, opts, cmd.Process.Pid, wait)
	go func() {
		<-p.exited
		p.Stdin.Close()
	}()
	return p, nil
}

func (p *Process) start(cmd *exec.Cmd) error {
	var err1, err2, err3 error
	p.Stdin, err1 = cmd.StdinPipe()
	p.Stdout, err2 = cmd.StdoutPipe()
	p.Stderr, err3 = cmd.StderrPipe()
	if err := cmp.Or(err1, err2, err3); err != nil {
		return err
	}
	return cmd.Start()
}

// Wait waits for the exit and closes the streams. It returns an *ExitError if the program did
// not end with code 0, or was canceled.
func (p *Process) Wait() error {
	err := p.running.Wait()
	p.stopReading()
	return err
}

func (p *Process) stopReading() {
	p.Stdout.Close()
	p.Stderr.Close()
}
