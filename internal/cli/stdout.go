package cli

import (
	"bytes"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// Stdout is the standard output. Main reports what could not be written to it.
var Stdout = &Output{file: os.Stdout}

// Output is a file that counts the lines that could not be written. It may be used from any
// goroutine.
type Output struct {
	file *os.File

	mu       sync.Mutex
	lost     int
	err      error // the last one
	outlived bool
}

func (o *Output) Write(p []byte) (n int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n, err = o.file.Write(p); err != nil {
		o.err = err
		o.lost += bytes.Count(p[n:], []byte("\n"))
	}
	return n, err
}

// Lost returns how many lines could not be written.
func (o *Output) Lost() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.lost
}

// Outlive lets a server go on when its output cannot be written, and then end without an error.
// When the reader ends, as head(1) does after some lines, SIGPIPE would end the process at the
// next line. Processes that it starts are not affected.
func (o *Output) Outlive() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.outlived = true
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
}

// failure returns the error for a command whose output is its result.
func (o *Output) failure() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.outlived {
		return nil
	}
	return o.err
}
