package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strings"
	"sync"
	"time"
)

// method is one of the four, with a function that runs a program to its end with it.
type method struct {
	name string
	try  func(ctx context.Context, opts Options, file string, args ...string) outcome
}

// outcome is the outcome of one run.
type outcome struct {
	stdout, stderr []byte            // of Spawn, Exec and ExecFile
	messages       []json.RawMessage // of Fork
	err            error
	killed         bool          // of Spawn and Fork: our signal was sent, whatever its effect
	first, last    time.Duration // until the first output was available, and until the end
}

// trySpawn reads both streams at the same time: a program that fills one of them would stop
// while we wait for the other.
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

// tryExec joins the words to a command line, which the shell interprets.
func tryExec(ctx context.Context, opts Options, file string, args ...string) (o outcome) {
	start := time.Now()
	o.stdout, o.stderr, o.err = Exec(ctx, opts, strings.Join(append([]string{file}, args...), " "))
	o.last = time.Since(start)
	o.first = o.last // no output is available earlier
	return o
}

func tryExecFile(ctx context.Context, opts Options, file string, args ...string) (o outcome) {
	start := time.Now()
	o.stdout, o.stderr, o.err = ExecFile(ctx, opts, file, args...)
	o.last = time.Since(start)
	o.first = o.last
	return o
}

// tryFork receives all messages of a program.
func tryFork(ctx context.Context, opts Options, file string, args ...string) (o outcome) {
	start := time.Now()
	child, err := Fork(ctx, opts, file, args...)
	if err != nil {
		return outcome{err: err}
	}
	var bad error
	for message, err := range child.Messages() {
		if err == nil {
			err = message.Decode(new(any))
		}
		switch {
		case errors.Is(err, io.ErrUnexpectedEOF): // the exit says why the last line was cut off
			continue
		case err != nil:
			bad = err
			continue
		}
		if o.messages == nil {
			o.first = time.Since(start)
		}
		o.messages = append(o.messages, message.Data)
		message.Close()
	}
	o.err = cmp.Or(child.Wait(), bad)
	o.killed = child.killed
	o.last = time.Since(start)
	return o
}

// limited returns a context that ends after timeout and is canceled after abort; 0 is never.
func limited(ctx context.Context, timeout, abort time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(timeout, math.MaxInt64))
	if abort > 0 {
		time.AfterFunc(abort, cancel)
	}
	return ctx, cancel
}
