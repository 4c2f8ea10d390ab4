package ipc

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"

	"playing-with-processes/internal/clitest"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func init() {
	roles["without-channel"] = ignoreChannel
	roles["half-line"] = sendHalfLine
	roles["untaken-handle"] = receiveWithoutTaking
	roles["send-connection"] = func() { must(sendConnectionAndWait()) }
	roles["last-words"] = func() { writeLines(mustParent(), false) }
	roles["last-words-after-handle"] = func() { writeLines(mustParent(), true) }
}

// ignoreChannel never calls Parent.
func ignoreChannel() {
	fmt.Println("started")
	waitForStdinEOF()
}

func sendHalfLine() {
	parent := mustParent()
	parent.Send(context.Background(), "whole")
	parent.socket.send([]byte(`{"half":`), nil, 0)
	fmt.Println("started")
	waitForStdinEOF()
}

// receiveWithoutTaking receives a message and does not take its handle.
func receiveWithoutTaking() {
	parent := mustParent()
	for range parent.Messages() {
		fmt.Println("started")
		waitForStdinEOF()
	}
}

// sendConnectionAndWait sends a connection with unread data, and waits to be killed.
func sendConnectionAndWait() error {
	near, far, err := socketpair()
	if err != nil {
		return err
	}
	if _, err := unix.Write(near, []byte("unread")); err != nil {
		return err
	}
	if err := mustParent().SendHandle(context.Background(), "handle", descriptor(far)); err != nil {
		return err
	}
	waitForStdinEOF()
	return nil
}

// writeLines writes 1000 messages and exits. After half of them it sends a handle, after
// which a read ends, or not.
func writeLines(parent *Channel, handle bool) {
	half := bytes.Repeat([]byte("1\n"), 500)
	parent.socket.send(half, nil, 0)
	if handle {
		near, _, err := socketpair()
		must(err)
		parent.socket.send([]byte(handleMessage), unix.UnixRights(near), 0)
	}
	parent.socket.send(half, nil, 0)
}

// What a child has written before its end may be more than MaxInbox. It is delivered as far
// as it was read, and if some of it was not, the last error says so.
func TestUnreadMessagesAreReported(t *testing.T) {
	for name, test := range map[string]struct {
		role     string
		messages int
		errs     []error
	}{
		"all are read":     {"last-words", 1000, nil},
		"some stay unread": {"last-words-after-handle", 501, []error{ErrInboxFull}},
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			child := forkWith(t, Config{MaxInbox: 1 << 10}, role(t, test.role))
			requireExit(t, Exit{}, child)
			data, errs := receiveAll(t, child.Channel)
			require.Len(t, data, test.messages)
			require.Equal(t, test.errs, errs)
		})
	}
}

// A child killed at any stage of its start ends the channel, is reaped, and leaves
// nothing open.
func TestKilledAtEachStage(t *testing.T) {
	for _, test := range []struct {
		name, role string
		wait       bool
		handle     bool
		want       []string
		errs       []error
	}{
		{name: "right after fork", role: "without-channel"},
		{name: "before it calls Parent", role: "without-channel", wait: true},
		{
			name: "in the middle of a line", role: "half-line", wait: true,
			want: []string{`"whole"`}, errs: []error{io.ErrUnexpectedEOF},
		},
		{name: "with a handle that it did not take", role: "untaken-handle", wait: true, handle: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			noLeaks(t)
			cmd := role(t, test.role)
			firstLine := pipeStdio(t, cmd)
			child := fork(t, cmd)
			if test.handle {
				require.Equal(t, []error{nil}, sendHandles(t, child.Channel, 1, 1)())
			}
			if test.wait {
				require.Equal(t, "started", firstLine())
			}
			require.NoError(t, child.Kill(unix.SIGKILL))
			exit, err := child.Wait()
			require.NoError(t, err)
			require.Equal(t, unix.SIGKILL, exit.Signal)
			data, errs := receiveAll(t, child.Channel)
			require.Equal(t, test.want, data)
			require.Len(t, errs, len(test.errs))
			for i, want := range test.errs {
				require.ErrorIs(t, errs[i], want)
			}
			require.ErrorIs(t, child.Send(clitest.Context(t), 1), ErrClosed)
		})
	}
}

// SendHandle to a child that is killed before it acknowledges returns ErrClosed.
func TestKilledBeforeAcknowledging(t *testing.T) {
	noLeaks(t)
	cmd := role(t, "without-channel")
	firstLine := pipeStdio(t, cmd)
	child := fork(t, cmd)
	firstLine()
	results := sendHandles(t, child.Channel, 3, 1)
	require.NoError(t, child.Kill(unix.SIGKILL))
	for _, err := range results() {
		require.ErrorIs(t, err, ErrClosed)
	}
}

// An acknowledged handle can be used after its sender is killed.
func TestHandleOutlivesItsSender(t *testing.T) {
	noLeaks(t)
	cmd := role(t, "send-connection")
	pipeStdio(t, cmd)
	child := fork(t, cmd)
	msg := receive(t, child.Channel)
	require.NoError(t, child.Kill(unix.SIGKILL))
	requireExit(t, Exit{Code: -1, Signal: unix.SIGKILL}, child)
	conn, err := msg.Conn()
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(clitest.Deadline(t)))
	text, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Equal(t, "unread", string(text))
}

// When a child is killed, a handle that waits for it in the kernel is closed, and the
// loop over Messages ends.
func TestHandleForKilledChildIsClosed(t *testing.T) {
	noLeaks(t)
	cmd := role(t, "without-channel")
	firstLine := pipeStdio(t, cmd)
	child := fork(t, cmd)
	require.Equal(t, "started", firstLine())
	pair, ended := newSocketPair(t), make(chan []error, 1)
	go func() {
		var all []error
		for _, err := range child.Messages() {
			all = append(all, err)
		}
		ended <- all
	}()
	sent := startSendHandle(t, child.Channel, 1, pair.far)
	require.NoError(t, child.Kill(unix.SIGKILL))
	requireExit(t, Exit{Code: -1, Signal: unix.SIGKILL}, child)
	require.ErrorIs(t, <-sent, ErrClosed)
	require.Empty(t, <-ended)
	pair.requireFarClosed(t)
}
