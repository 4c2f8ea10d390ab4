package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"playing-with-processes/internal/ipc"
	"playing-with-processes/internal/program"
)

// forked is a worker, as the primary sees it.
type forked struct {
	*ipc.Child
	cmd    *exec.Cmd
	part   share
	result result
	memory int64         // bytes, while all the workers were there
	cpu    time.Duration // known after its end
	stderr program.Words
}

// fork starts a worker and sends it its part. Until it has ended, the end of
// ctx kills it.
func fork(ctx context.Context, cmd *exec.Cmd, part share) (*forked, error) {
	f := &forked{cmd: cmd, part: part}
	cmd.Stderr = &f.stderr
	child, err := ipc.Fork(cmd)
	if err != nil {
		return nil, err
	}
	f.Child = child
	say.Printf("forked %d for share %d of %d", f.Pid(), part.Number+1, part.Of)
	context.AfterFunc(ctx, func() { f.Kill(syscall.SIGKILL) })
	if err := f.Send(ctx, part); err != nil {
		return nil, f.fail(err)
	}
	return f, nil
}

// collect waits for the result.
func (f *forked) collect() (err error) {
	if f.result, err = receive[result](f.Channel); err != nil {
		return f.fail(err)
	}
	return nil
}

// end lets the worker go, and learns from the kernel what it has used.
func (f *forked) end() error {
	exit, killed, err := f.letGo()
	switch {
	case err != nil:
		return err
	case killed:
		return fmt.Errorf("worker %d did not end after the disconnect", f.Pid())
	case exit != (ipc.Exit{}):
		return fmt.Errorf("worker %d ended with %v: %s", f.Pid(), exit, f.stderr.Gist())
	}
	f.cpu = f.cmd.ProcessState.UserTime() + f.cmd.ProcessState.SystemTime()
	os.Stderr.Write(f.stderr.Bytes())
	return nil
}

// fail ends a worker that has no result, and says why it has none.
func (f *forked) fail(why error) error {
	exit, killed, err := f.letGo()
	switch {
	case err != nil:
		return err
	case !errors.Is(why, ipc.ErrClosed):
		return fmt.Errorf("worker %d: %w", f.Pid(), why)
	case exit.Signal == syscall.SIGINT:
		return program.ErrInterrupted
	case killed:
		return fmt.Errorf("worker %d closed its channel and did not end", f.Pid())
	}
	return fmt.Errorf("worker %d ended with %v and no result: %s", f.Pid(), exit, f.stderr.Gist())
}

// letGo disconnects, and waits for the worker's own end, which says more than our
// signal would; but not for ever.
func (f *forked) letGo() (exit ipc.Exit, killed bool, err error) {
	const patience = time.Second
	f.Disconnect()
	timer := time.AfterFunc(patience, func() { f.Kill(syscall.SIGKILL) })
	exit, err = f.Wait()
	killed = !timer.Stop()
	if errors.Is(err, exec.ErrWaitDelay) { // a child of the worker's has its standard error still
		err = nil
	}
	return exit, killed, err
}
