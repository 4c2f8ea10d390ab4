package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
)

// ErrMaxBuffer: the program wrote more to a stream than Options.MaxBuffer.
var ErrMaxBuffer = errors.New("maxBuffer exceeded")

// ExecFile runs a program to its end and returns what it wrote:
// cp.execFile(file, args, callback). No shell sees the arguments. The program's
// standard input stays open until its exit, and nobody writes to it. What was read
// before an error comes with it: an *ExitError, ErrMaxBuffer, or what Spawn returns.
//
// When ctx ends, or a stream grows longer than opts.MaxBuffer, ExecFile signals
// the program and its descendants, reads no more, and waits for the program only:
// not for a descendant that holds the streams.
func ExecFile(ctx context.Context, opts Options, file string, args ...string) (stdout, stderr []byte, err error) {
	p, err := Spawn(ctx, opts, file, args...)
	if err != nil {
		return nil, nil, err
	}
	release := context.AfterFunc(ctx, p.stopReading)

	full := make(chan error, 2)
	collect := func(name string, stream io.Reader) []byte {
		limit := opts.maxBuffer()
		kept, _ := io.ReadAll(io.LimitReader(stream, int64(limit)+1))
		if len(kept) <= limit {
			return kept
		}
		full <- fmt.Errorf("%s: %w", name, ErrMaxBuffer)
		p.stopReading()
		p.kill()
		return kept[:limit]
	}
	var reading sync.WaitGroup
	reading.Go(func() { stdout = collect("stdout", p.Stdout) })
	reading.Go(func() { stderr = collect("stderr", p.Stderr) })
	reading.Wait()
	cut := !release()
	err = p.Wait()
	if cut && p.waitErr == nil { // also if the program was gone, and another held the streams
		err = p.ended(true)
	}
	select {
	case err = <-full: // a better reason than our own signal
	default:
	}
	return stdout, stderr, err
}
