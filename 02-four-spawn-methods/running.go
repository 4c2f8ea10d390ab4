package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"sync"
	"syscall"

	"playing-with-processes/internal/ipc"
)

// Options are Node's, and so are the defaults. Node's timeout and signal are a
// context here: one with a deadline, one that is cancelled.
type Options struct {
	Dir        string         // where the program runs; here, if empty
	KillSignal syscall.Signal // what the end of the context sends; SIGTERM, if 0
	MaxBuffer  int            // of Exec and ExecFile: bytes kept of each stream; 1 MiB, if 0
}

func (o Options) maxBuffer() int {
	if o.MaxBuffer == 0 {
		return 1 << 20
	}
	return o.MaxBuffer
}

// ExitError is the end of a program that ran, and did not end with code 0, or was
// cancelled.
type ExitError struct {
	ipc.Exit      // a code or a signal
	Killed   bool // the end of the context had sent its signal
	cause    error
}

func (e *ExitError) Error() string {
	if e.cause != nil {
		return fmt.Sprintf("%v: %v", e.Exit, e.cause)
	}
	return e.Exit.String()
}

// Unwrap is why it was killed: context.DeadlineExceeded or context.Canceled.
func (e *ExitError) Unwrap() error { return e.cause }

// command prepares a program. Its process group is its own, so that a signal can
// reach its descendants with it. Node signals the program alone.
func command(opts Options, file string, args []string) *exec.Cmd {
	cmd := exec.Command(file, args...)
	cmd.Dir = opts.Dir
	cmd.Env = os.Environ() // os/exec alone would add PWD for Dir; Node does not
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// startError says of a failed start what is missing. The kernel's ENOENT, and so
// Node's, may mean the directory; and os/exec has another error for a name that is
// not in PATH, that fs.ErrNotExist would not match.
func startError(opts Options, file string, err error) error {
	if _, missing := os.Stat(opts.Dir); opts.Dir != "" && missing != nil {
		return missing
	}
	if errors.Is(err, exec.ErrNotFound) {
		return &fs.PathError{Op: "spawn", Path: file, Err: syscall.ENOENT}
	}
	return err
}

// withoutInterpreter tells a script that lacks a #! line. A shell runs it then:
// execvp(3) does so, and with it Node, and os/exec does not.
func withoutInterpreter(err error) (path string, ok bool) {
	var failed *fs.PathError
	if errors.As(err, &failed) && failed.Err == syscall.ENOEXEC && failed.Path != shell {
		return failed.Path, true
	}
	return "", false
}

// running is a started program. The end of its context signals it.
type running struct {
	ctx    context.Context
	pid    int
	signal syscall.Signal
	exited chan struct{} // closed when it has

	mu      sync.Mutex
	over    bool // the pid may be another's by now
	killed  bool // the signal was sent
	exit    ipc.Exit
	waitErr error
}

// watch sees to the end of a program, which wait waits for.
func watch(ctx context.Context, opts Options, pid int, wait func() (ipc.Exit, error)) *running {
	r := &running{ctx: ctx, pid: pid, signal: opts.KillSignal, exited: make(chan struct{})}
	if r.signal == 0 {
		r.signal = syscall.SIGTERM
	}
	release := context.AfterFunc(ctx, r.kill)
	go func() {
		exit, err := wait()
		release()
		r.mu.Lock()
		r.over, r.exit, r.waitErr = true, exit, err
		r.mu.Unlock()
		close(r.exited)
	}()
	return r
}

// kill signals the program and its descendants: child.kill. Like Node's it does
// not wait for the effect, and a program may ignore the signal.
func (r *running) kill() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return
	}
	err := syscall.Kill(-r.pid, r.signal)
	if err != nil { // it has gone to another group
		err = syscall.Kill(r.pid, r.signal)
	}
	r.killed = r.killed || err == nil
	syscall.Kill(-r.pid, syscall.SIGCONT) // one that is stopped would not take the signal
}

// Wait waits for the exit. It returns an *ExitError if the program did not end
// with code 0, or was cancelled.
func (r *running) Wait() error {
	<-r.exited
	if r.waitErr != nil {
		return r.waitErr
	}
	return r.ended(r.killed)
}

// ended is the error that the exit means. As in Node, code 0 is none, even of a
// program that was told to end because its time was up.
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
