package main

import (
	"cmp"
	"context"
	"io"

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
// end, and then call Wait. After an error no program runs; the error matches fs.ErrNotExist,
// fs.ErrPermission, or another errno.
//
// The end of ctx signals the program and its descendants, also after the program's exit, until
// Wait is called.
func Spawn(ctx context.Context, opts Options, file string, args ...string) (*Process, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	cmd := command(opts, file, args)
	stdin, err1 := cmd.StdinPipe()
	stdout, err2 := cmd.StdoutPipe()
	stderr, err3 := cmd.StderrPipe()
	if err := cmp.Or(err1, err2, err3); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		if script, ok := withoutInterpreter(err); ok {
			return Spawn(ctx, opts, shell, append([]string{script}, args...)...)
		}
		return nil, startError(opts, file, err)
	}
	wait := func() (ipc.Exit, error) {
		// Not cmd.Wait, which would close the other streams as well.
		state, err := cmd.Process.Wait()
		if err != nil {
			return ipc.Exit{}, err
		}
		return ipc.ExitOf(state), nil
	}
	r := watch(ctx, opts, cmd.Process.Pid, wait)
	go func() {
		<-r.exited
		stdin.Close()
	}()
	return &Process{stdin, stdout, stderr, r}, nil
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
