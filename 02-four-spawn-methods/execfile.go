package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
)

// ErrMaxBuffer: the program wrote more than Options.MaxBuffer to a stream.
var ErrMaxBuffer = errors.New("maxBuffer exceeded")

// ExecFile runs a program to its end and returns its output: cp.execFile(file, args,
// callback). No shell interprets the arguments. The program's standard input stays open, and
// empty, until its exit. With an error, which is an *ExitError, ErrMaxBuffer, or one of
// Spawn's, ExecFile returns the output so far.
//
// When ctx ends, or a stream grows longer than opts.MaxBuffer, ExecFile signals the program and
// its descendants, stops reading, and waits for the program, but not for a descendant that
// holds the streams.
func ExecFile(ctx context.Context, opts Options, file string, args ...string) (stdout, stderr []byte, err error) {
	p, err := Spawn(ctx, opts, file, args...)
	if err != nil {
		return nil, nil, err
	}
	release := context.AfterFunc(ctx, p.stopReading)

	limit := cmp.Or(opts.MaxBuffer, 1<<20)
	collect := func(name string, stream io.Reader) ([]byte, error) {
		kept, _ := io.ReadAll(io.LimitReader(stream, int64(limit)+1))
		if len(kept) <= limit {
			return kept, nil
		}
		p.stopReading()
		p.kill()
		return kept[:limit], fmt.Errorf("%s: %w", name, ErrMaxBuffer)
	}
	var reading sync.WaitGroup
	var full1, full2 error
	reading.Go(func() { stdout, full1 = collect("stdout", p.Stdout) })
	reading.Go(func() { stderr, full2 = collect("stderr", p.Stderr) })
	reading.Wait()
	canceled := !release()
	err = p.Wait()
	if canceled && p.waitErr == nil { // even if the program was gone, and a descendant held the streams
		err = p.ended(true)
	}
	return stdout, stderr, cmp.Or(full1, full2, err) // err would tell only of our own signal
}
