package ipc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"playing-with-processes/internal/clitest"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Node reads 64 KiB at a time. Even so, each message must have its own connection.
func TestNodeReceivesEachHandleWithItsMessage(t *testing.T) {
	noLeaks(t)
	for _, tc := range []struct {
		name         string
		senders, all int
		before       []int // sizes of plain messages that are sent first
		between      int   // size of a plain message after each handle
	}{
		{"200 of 16 senders", 16, 200, nil, 0},
		{"two after 30,000 bytes", 2, 2, []int{30_000}, 0},
		{"two after 60,000 bytes", 2, 2, []int{60_000}, 0},
		{"two after 65,500 bytes", 2, 2, []int{65_500}, 0},
		{"two after 10 times 6,550 bytes", 2, 2, slices.Repeat([]int{6_550}, 10), 0},
		{"200 after 65,500 bytes", 16, 200, []int{65_500}, 0},
		{"200 bytes between", 16, 64, nil, 200},
		{"5,000 bytes between", 16, 64, []int{65_000}, 5_000},
		{"70,000 bytes between", 4, 24, nil, 70_000},
	} {
		t.Run(tc.name, func(t *testing.T) {
			noLeaks(t)
			sendConnections(t, tc.senders, tc.all, tc.before, tc.between)
		})
	}
}

// sendConnections starts all senders while Node does not read, so that as many handles as
// possible are unacknowledged.
func sendConnections(t *testing.T, senders, all int, before []int, between int) {
	ctx := clitest.Context(t)
	cmd := script(t, "connections.js", strconv.Itoa(all))
	release, err := cmd.StdinPipe()
	require.NoError(t, err)
	child := fork(t, cmd)
	require.NoError(t, child.Send(ctx, "wait"))
	require.Equal(t, `"waiting"`, string(receive(t, child.Channel).Data))
	for _, size := range before {
		require.NoError(t, child.Send(ctx, padding(size)))
	}
	var ready sync.WaitGroup
	results := make(chan error, senders)
	for first := range senders {
		ready.Add(1)
		isReady := sync.OnceFunc(ready.Done)
		go func() {
			defer isReady()
			for n := first; n < all; n += senders {
				if err := sendConnection(ctx, child.Channel, n, isReady); err != nil {
					results <- err
					return
				}
				if between > 0 {
					child.Send(ctx, padding(between)) // fails if Node has everything and has exited
				}
			}
			results <- nil
		}()
	}
	ready.Wait()
	for range 1000 { // lets the senders run
		runtime.Gosched()
	}
	release.Close()
	for range senders {
		require.NoError(t, <-results)
	}
	requireExit(t, Exit{}, child)
}

// padding returns a message that is size bytes long on the wire.
func padding(size int) string { return strings.Repeat("x", size-len("\"\"\n")) }

// sendConnection sends a connection. The message says what can be read from it.
func sendConnection(ctx context.Context, c *Channel, n int, ready func()) error {
	text := fmt.Sprintf("connection %d", n)
	conn, err := newConnHolding(text)
	if err != nil {
		return err
	}
	err = c.SendHandle(ctx, map[string]string{"holds": text}, notifyingConn{conn, ready})
	if err := errors.Join(err, conn.Close()); err != nil {
		return fmt.Errorf("%s: %w", text, err)
	}
	return nil
}

// newConnHolding returns a connection from which text can be read, and then the end.
func newConnHolding(text string) (*net.UnixConn, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, err
	}
	_, err = unix.Write(fds[1], []byte(text))
	unix.Close(fds[1])
	file := os.NewFile(uintptr(fds[0]), text)
	defer file.Close()
	conn, failed := net.FileConn(file)
	if err := errors.Join(err, failed); err != nil {
		return nil, err
	}
	return conn.(*net.UnixConn), nil
}

// notifyingConn is a handle that calls notify when it is about to be sent.
type notifyingConn struct {
	syscall.Conn
	notify func()
}

func (n notifyingConn) SyscallConn() (syscall.RawConn, error) {
	n.notify()
	return n.Conn.SyscallConn()
}
