package ipc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func init() {
	roles["hostile-giver"] = func() { must(give()) }
	roles["hostile-poor"] = func() { must(poor()) }
	roles["hostile-crossing"] = func() {
		defer bounded(os.Args[1]).Stop()
		parent := mustParent()
		must(cross(context.Background(), parent, 100))
		must(parent.Send(context.Background(), "done"))
	}
}

func must(err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "role %q: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}

// give sends a connection on which there is something to read, and waits to be
// killed.
func give() error {
	near, far, err := socketpair()
	if err != nil {
		return err
	}
	if _, err := unix.Write(near, []byte("last words")); err != nil {
		return err
	}
	if err := mustParent().SendHandle(context.Background(), "handle", descriptor(far)); err != nil {
		return err
	}
	untilClosed()
	return nil
}

// A handle that was not taken yet when its sender was killed would be lost,
// though it was acknowledged.
func TestHandleOfAKilledChildIsStillGood(t *testing.T) {
	noLeaks(t)
	cmd := role(t, "hostile-giver")
	lifeline(t, cmd)
	child := fork(t, cmd)
	msg := receive(t, child.Channel)
	require.NoError(t, child.Kill(unix.SIGKILL))
	requireExit(t, Exit{Code: -1, Signal: unix.SIGKILL}, child)
	conn, err := msg.Conn()
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	text, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Equal(t, "last words", string(text))
}

// A handle that waits in the kernel for a child that is killed would stay open,
// or hold whoever ranges.
func TestHandleForAKilledChildIsGone(t *testing.T) {
	noLeaks(t)
	defer bounded(t.Name()).Stop()
	cmd := role(t, "raw-until-killed")
	here := lifeline(t, cmd)
	child := fork(t, cmd)
	require.Equal(t, "here", here())
	with, ended := newPlug(t), make(chan []error, 1)
	go func() {
		var all []error
		for _, err := range child.Messages() {
			all = append(all, err)
		}
		ended <- all
	}()
	sent := handing(t, child.Channel, 1, with.far)
	require.NoError(t, child.Kill(unix.SIGKILL))
	requireExit(t, Exit{Code: -1, Signal: unix.SIGKILL}, child)
	require.ErrorIs(t, <-sent, ErrClosed)
	require.Empty(t, <-ended)
	with.requireGone(t)
}

// What is no channel would be taken for one, and what is one be refused.
func TestParentTakesNothingButAChannel(t *testing.T) {
	const noStream = "NODE_CHANNEL_FD=3 is not an open AF_UNIX stream socket"
	for _, tc := range []struct {
		name, number, mode string
		family, kind       int
		want               string
	}{
		{"channel", "3", "json", unix.AF_UNIX, unix.SOCK_STREAM, "<nil>"},
		{"channel, no mode", "3", "", unix.AF_UNIX, unix.SOCK_STREAM, "<nil>"},
		{"advanced mode", "3", "advanced", unix.AF_UNIX, unix.SOCK_STREAM,
			`NODE_CHANNEL_SERIALIZATION_MODE="advanced": only json is supported`},
		{"blank before it", " 3", "json", unix.AF_UNIX, unix.SOCK_STREAM, `NODE_CHANNEL_FD=" 3" is not a descriptor`},
		{"unit behind it", "3fd", "json", unix.AF_UNIX, unix.SOCK_STREAM, `NODE_CHANNEL_FD="3fd" is not a descriptor`},
		{"mode alone", "", "advanced", unix.AF_UNIX, unix.SOCK_STREAM, ErrNotForked.Error()},
		{"packets", "3", "json", unix.AF_UNIX, unix.SOCK_SEQPACKET, noStream},
		{"UDP", "3", "json", unix.AF_INET, unix.SOCK_DGRAM, noStream},
		{"IPv6", "3", "json", unix.AF_INET6, unix.SOCK_STREAM, noStream},
	} {
		t.Run(tc.name, func(t *testing.T) {
			noLeaks(t)
			fd, err := unix.Socket(tc.family, tc.kind, 0)
			if err == unix.EAFNOSUPPORT {
				t.Skip("no such sockets here")
			}
			require.NoError(t, err)
			third := os.NewFile(uintptr(fd), tc.name)
			defer third.Close()
			cmd := role(t, "what-parent-says")
			cmd.Stdout = nil
			cmd.Env = append(os.Environ(), channelFD+"="+tc.number, serializationMode+"="+tc.mode)
			cmd.ExtraFiles = []*os.File{third}
			out, err := cmd.Output()
			require.NoError(t, err)
			require.Equal(t, tc.want, strings.Split(string(out), "\n")[0])
			require.Contains(t, string(out), "left: false false")
		})
	}
}

// cross sends n handles at once while nobody ranges over Messages, and only
// then takes as many.
func cross(ctx context.Context, c *Channel, n int) error {
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

// Parent and child, each waiting for its acknowledgements and none ranging,
// would wait for ever.
func TestHandlesCrossBetweenProcesses(t *testing.T) {
	noLeaks(t)
	child := fork(t, role(t, "hostile-crossing"))
	require.NoError(t, cross(testContext(t), child.Channel, 100))
	require.Equal(t, `"done"`, string(receive(t, child.Channel).Data))
	requireExit(t, Exit{}, child)
}

// poor has no descriptor left for the first handle it gets, and writes to the
// second.
func poor() error {
	defer bounded(os.Args[1]).Stop()
	c, ctx := mustParent(), context.Background()
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		return err
	}
	low := old
	low.Cur = 3 // what is open stays so
	if err := errors.Join(unix.Setrlimit(unix.RLIMIT_NOFILE, &low), c.Send(ctx, "poor")); err != nil {
		return err
	}
	if _, err := hear(c); !errors.Is(err, ErrHandleLost) {
		return fmt.Errorf("a handle out of nothing: %w", err)
	}
	if err := errors.Join(unix.Setrlimit(unix.RLIMIT_NOFILE, &old), c.Send(ctx, "rich")); err != nil {
		return err
	}
	msg, err := hear(c)
	if err != nil {
		return err
	}
	conn, err := msg.Conn()
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Write([]byte("got it"))
	return err
}

// A handle that its receiver has no descriptor for would seem to have arrived,
// or would stay open in the kernel, or the next would not arrive either.
func TestSenderLearnsThatTheReceiverIsOutOfDescriptors(t *testing.T) {
	noLeaks(t)
	child := fork(t, role(t, "hostile-poor"))
	require.Equal(t, `"poor"`, string(receive(t, child.Channel).Data))
	lost, good := newPlug(t), newPlug(t)
	require.ErrorIs(t, child.SendHandle(testContext(t), 1, descriptor(lost.far)), ErrHandleLost)
	lost.requireGone(t)
	require.Equal(t, `"rich"`, string(receive(t, child.Channel).Data))
	require.NoError(t, child.SendHandle(testContext(t), 2, descriptor(good.far)))
	require.Equal(t, "got it", good.read(t))
	requireExit(t, Exit{}, child)
}
