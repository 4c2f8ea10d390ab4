package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"playing-with-processes/internal/ipc"
)

// Options are Node's, with Node's defaults. Node's timeout and signal are a context here, with
// a deadline or with a cancel function.
type Options struct {
	Dir        string         // where the program runs; "" is the current directory
	KillSignal syscall.Signal // what the end of the context sends; 0 is SIGTERM
	MaxBuffer  int            // how many bytes of a stream Exec and ExecFile keep; 0 is 1 MiB
}

// ExitError is the exit of a program that did not end with code 0, or was canceled.
type ExitError struct {
	ipc.Exit      // a code or a signal
	Killed   bool // the end of the context has sent its signal
	cause    error
}

func (e *ExitError) Error() string {
	if e.cause != nil {
		return fmt.Sprintf("%v: %v", e.Exit, e.cause)
	}
	return e.Exit.String()
}

// Unwrap returns why it was killed: context.DeadlineExceeded or context.Canceled.
func (e *ExitError) Unwrap() error { return e.cause }

// running is a started program. The end of its context signals it and its descendants, also
// those that it has left behind, as long as it is not reaped: until then its pid, which is the
// id of its group, cannot belong to another process.
type running struct {
	ctx      context.Context
	pid      int
	signal   syscall.Signal
	exited   chan struct{} // closed when it has
	signaled chan struct{} // closed when the end of ctx has signaled it
	reap     func()        // waits for the exit and reaps the program, once

	mu      sync.Mutex
	reaped  bool
	killed  bool // it was signaled before its exit
	exit    ipc.Exit
	waitErr error
}

// watch signals a program when ctx ends. wait waits for its end and reaps it.
func watch(ctx context.Context, opts Options, pid int, wait func() (ipc.Exit, error)) *running {
	r := &running{
		ctx:      ctx,
		pid:      pid,
		signal:   cmp.Or(opts.KillSignal, syscall.SIGTERM),
		exited:   make(chan struct{}),
		signaled: make(chan struct{}),
	}
	release := context.AfterFunc(ctx, func() {
		r.kill()
		close(r.signaled)
	})
	r.reap = sync.OnceFunc(func() {
		<-r.exited
		if !release() {
			<-r.signaled
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.exit, r.waitErr = wait()
		r.reaped = true
	})
	go func() {
		awaitExit(pid)
		close(r.exited)
	}()
	return r
}

// awaitExit waits for the exit of a child, and does not reap it.
func awaitExit(pid int) {
	const byPid = 1 // P_PID of waitid(2)
	var info [128]byte
	for errno := syscall.EINTR; errno == syscall.EINTR; {
		_, _, errno = syscall.Syscall6(syscall.SYS_WAITID, byPid, uintptr(pid),
			uintptr(unsafe.Pointer(&info)), unix.WEXITED|unix.WNOWAIT, 0, 0)
	}
}

func (r *running) hasExited() bool {
	select {
	case <-r.exited:
		return true
	default:
		return false
	}
}

// kill signals the program and its descendants: child.kill. Like Node's, it does not wait for
// the effect, and a program may ignore the signal.
func (r *running) kill() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reaped {
		return
	}
	exited := r.hasExited()
	err := syscall.Kill(-r.pid, r.signal)
	if err != nil { // it has moved to another group
		err = syscall.Kill(r.pid, r.signal)
	}
	r.killed = r.killed || err == nil && !exited
	syscall.Kill(-r.pid, syscall.SIGCONT) // a stopped program would not handle the signal
}

// Wait waits for the exit. It returns an *ExitError if the program did not end with code 0, or
// was canceled.
func (r *running) Wait() error {
	r.reap()
	if r.waitErr != nil {
		return r.waitErr
	}
	return r.ended(r.killed)
}

// ended returns the error for the exit. As in Node, code 0 is no error, even after a timeout
// has signaled the program.
func (r *running) ended(killed bool) error {
	err := &ExitError{Exit: r.exit, Killed: killed}
	if killed {
		err.cause = context.Cause(r.ctx)
	}
	if r.exit == (ipc.Exit{}) && !errors.Is(err.cause, context.Canceled) {
		return nil
	}
	return err
}
