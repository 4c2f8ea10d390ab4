package ipc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"playing-with-processes/internal/clitest"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func init() {
	roles["cross-handles"] = func() {
		parent := mustParent()
		must(crossHandles(context.Background(), parent, 100))
		must(parent.Send(context.Background(), "done"))
	}
	roles["no-descriptors"] = func() { must(runOutOfDescriptors()) }
}

// crossHandles sends n handles concurrently. It receives n messages only when all are
// acknowledged.
func crossHandles(ctx context.Context, c *Channel, n int) error {
	near, far, err := socketpair()
	if err != nil {
		return err
	}
	defer unix.Close(near)
	defer unix.Close(far)
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() { errs[i] = c.SendHandle(ctx, i, descriptor(far)) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for msg, err := range c.Messages() {
		if err == nil {
			err = msg.Close()
		}
		if n--; err != nil || n == 0 {
			return err
		}
	}
	return errors.New("the channel has ended")
}

// Parent and child may both wait for acknowledgements while neither receives messages.
func TestHandlesCrossBetweenProcesses(t *testing.T) {
	noLeaks(t)
	child := fork(t, role(t, "cross-handles"))
	require.NoError(t, crossHandles(clitest.Context(t), child.Channel, 100))
	require.Equal(t, `"done"`, string(receive(t, child.Channel).Data))
	requireExit(t, Exit{}, child)
}

// runOutOfDescriptors has no free descriptor for the first handle, and writes to the
// second.
func runOutOfDescriptors() error {
	c, ctx := mustParent(), context.Background()
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		return err
	}
	low := old
	low.Cur = 3 // open descriptors stay open
	if err := errors.Join(unix.Setrlimit(unix.RLIMIT_NOFILE, &low), c.Send(ctx, "limited")); err != nil {
		return err
	}
	if _, err := c.Receive(); !errors.Is(err, ErrHandleLost) {
		return fmt.Errorf("a handle without a free descriptor: %w", err)
	}
	if err := errors.Join(unix.Setrlimit(unix.RLIMIT_NOFILE, &old), c.Send(ctx, "unlimited")); err != nil {
		return err
	}
	msg, err := c.Receive()
	if err != nil {
		return err
	}
	conn, err := msg.Conn()
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Write([]byte("received"))
	return err
}

// A handle that its receiver has no descriptor for is ErrHandleLost at the sender, and is
// closed. The next handle arrives.
func TestReceiverWithoutDescriptors(t *testing.T) {
	noLeaks(t)
	child := fork(t, role(t, "no-descriptors"))
	require.Equal(t, `"limited"`, string(receive(t, child.Channel).Data))
	lost, good := newSocketPair(t), newSocketPair(t)
	require.ErrorIs(t, child.SendHandle(clitest.Context(t), 1, descriptor(lost.far)), ErrHandleLost)
	lost.requireFarClosed(t)
	require.Equal(t, `"unlimited"`, string(receive(t, child.Channel).Data))
	require.NoError(t, child.SendHandle(clitest.Context(t), 2, descriptor(good.far)))
	require.Equal(t, "received", good.read(t))
	requireExit(t, Exit{}, child)
}
