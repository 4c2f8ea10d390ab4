package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync"
	"time"

	"playing-with-processes/internal/program"
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

// tryExec makes one command line of the words, as people do: the shell acts on
// what is in them.
func tryExec(ctx context.Context, opts Options, file string, args ...string) (o outcome) {
	start := time.Now()
	o.stdout, o.stderr, o.err = Exec(ctx, opts, strings.Join(append([]string{file}, args...), " "))
	o.last = time.Since(start)
	o.first = o.last
	return o
}

// tryExecFile runs a program to its end. The first output can be used when all
// of it is there.
func tryExecFile(ctx context.Context, opts Options, file string, args ...string) (o outcome) {
	start := time.Now()
	o.stdout, o.stderr, o.err = ExecFile(ctx, opts, file, args...)
	o.last = time.Since(start)
	o.first = o.last
	return o
}

// tryFork runs a program to its end, and takes all its messages.
func tryFork(ctx context.Context, opts Options, file string, args ...string) (o outcome) {
	start := time.Now()
	child, err := Fork(ctx, opts, file, args...)
	if err != nil {
		return outcome{err: err}
	}
	var bad error
	for message, err := range child.Messages() {
		var value any
		if err == nil {
			err = message.Decode(&value)
		}
		switch {
		case errors.Is(err, io.ErrUnexpectedEOF): // the exit says why a line was cut off
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
