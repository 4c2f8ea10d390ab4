package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"playing-with-processes/internal/cli"
	"playing-with-processes/internal/ipc"
)

// child is a worker as the primary sees it.
type child struct {
	*ipc.Child
	cmd     *exec.Cmd
	part    share
	counted counted
	memory  int64         // bytes, measured while all workers ran
	cpu     time.Duration // known after its end
	stderr  cli.TailBuffer
}

// fork starts a worker and sends it its share. If ctx ends before the worker, the worker is
// killed.
func fork(ctx context.Context, cmd *exec.Cmd, part share) (*child, error) {
	c := &child{cmd: cmd, part: part}
	cmd.Stderr = &c.stderr
	forked, err := ipc.Fork(cmd)
	if err != nil {
		return nil, err
	}
	c.Child = forked
	say.Printf("forked %d for share %d of %d", c.Pid(), part.Number+1, part.Of)
	context.AfterFunc(ctx, func() { c.Kill(syscall.SIGKILL) })
	if err := c.Send(ctx, part); err != nil {
		return nil, c.fail(err)
	}
	return c, nil
}

// collect waits for the result.
func (c *child) collect() (err error) {
	if c.counted, err = receive[counted](c.Channel); err != nil {
		return c.fail(err)
	}
	return nil
}

// end disconnects the worker, and asks the kernel for its CPU time.
func (c *child) end() error {
	exit, killed, err := c.letExit()
	switch {
	case err != nil:
		return err
	case killed:
		return fmt.Errorf("worker %d did not exit after the disconnect", c.Pid())
	case exit != (ipc.Exit{}):
		return fmt.Errorf("worker %d ended with %v: %s", c.Pid(), exit, c.stderr.ErrorLine())
	}
	c.cpu = c.cmd.ProcessState.UserTime() + c.cmd.ProcessState.SystemTime()
	os.Stderr.Write(c.stderr.Bytes())
	return nil
}

// fail ends a worker without a result, and says why it has none.
func (c *child) fail(why error) error {
	exit, killed, err := c.letExit()
	switch {
	case err != nil:
		return err
	case why != io.EOF && !errors.Is(why, ipc.ErrClosed):
		return fmt.Errorf("worker %d: %w", c.Pid(), why)
	case exit.Signal == syscall.SIGINT:
		return cli.ErrInterrupted
	case killed:
		return fmt.Errorf("worker %d closed its channel and did not exit", c.Pid())
	}
	return fmt.Errorf("worker %d ended with %v and no result: %s", c.Pid(), exit, c.stderr.ErrorLine())
}

// letExit disconnects, and gives the worker a moment to exit by itself, because its own exit
// says more than our signal would.
func (c *child) letExit() (exit ipc.Exit, killed bool, err error) {
	c.Disconnect()
	timer := time.AfterFunc(time.Second, func() { c.Kill(syscall.SIGKILL) })
	exit, err = c.Wait()
	killed = !timer.Stop()
	if errors.Is(err, exec.ErrWaitDelay) { // a child of the worker still has its standard error
		err = nil
	}
	return exit, killed, err
}
