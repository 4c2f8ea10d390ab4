package main

import (
	"cmp"
	"context"
	"io"
	"os/exec"
	"sync"
	"time"

	"playing-with-processes/internal/ipc"
)

// Process is a started program and its streams, all three of them pipes.
type Process struct {
	Stdin          io.WriteCloser
	Stdout, Stderr io.ReadCloser
	cmd            *exec.Cmd
	*running
}

// Spawn starts a program and hands over its streams: cp.spawn(file, args).
// Nothing is collected: a program whose output nobody reads stops when the pipe
// is full. Read both streams to the end, and then call Wait. An error means that
// nothing was started: fs.ErrNotExist, fs.ErrPermission, or another errno.
//
// The end of ctx signals the program and its descendants.
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
	return &Process{stdin, stdout, stderr, cmd, watch(ctx, opts, cmd)}, nil
}

// Wait waits for the exit and closes the streams. It returns an *ExitError if
// the program did not end with code 0.
func (p *Process) Wait() error {
	p.cmd.Wait() // its error only repeats the state
	return p.ended(ipc.ExitOf(p.cmd.ProcessState))
}

// trySpawn runs a program to its end. Two goroutines read: a program that
// fills one stream while somebody waits for the other would stop.
func trySpawn(ctx context.Context, opts Options, file string, args ...string) (o outcome) {
	start := time.Now()
	p, err := Spawn(ctx, opts, file, args...)
	if err != nil {
		return outcome{err: err}
	}
	var reading sync.WaitGroup
	reading.Go(func() { o.stderr, _ = io.ReadAll(p.Stderr) })
	begin := make([]byte, 4096)
	n, _ := p.Stdout.Read(begin)
	o.first = time.Since(start)
	rest, _ := io.ReadAll(p.Stdout)
	o.stdout = append(begin[:n], rest...)
	reading.Wait()
	o.err = p.Wait()
	o.killed = p.killed
	o.last = time.Since(start)
	return o
}
