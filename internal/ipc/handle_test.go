package ipc

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A handle leaves as Node would send it, and SendHandle returns when it is
// acknowledged.
func TestSendHandle(t *testing.T) {
	noLeaks(t)
	c, p := pair(t, Config{})
	results := flying(t, c, 1, "server")
	require.Equal(t, `{"cmd":"NODE_HANDLE","type":"net.Server","msg":"server"}`, p.line())
	require.Len(t, p.arrived, 1)
	p.write("%s\n", lineACK)
	require.Equal(t, []error{nil}, results())
	kind, _, err := kindOf(p.arrived[0])
	require.NoError(t, err)
	require.Equal(t, kindServer, kind)
}

// A line that the kernel takes in pieces passes its descriptor once, with the
// first.
func TestSendHandleWithLongMessage(t *testing.T) {
	noLeaks(t)
	c, p := pair(t, Config{})
	results := flying(t, c, 1, strings.Repeat("x", 1<<20))
	require.Contains(t, p.line(), "NODE_HANDLE")
	p.write("%s\n", lineACK)
	require.Equal(t, []error{nil}, results())
	require.Len(t, p.arrived, 1)
}

// A handle that comes is acknowledged, and can be used.
func TestReceiveHandle(t *testing.T) {
	noLeaks(t)
	c, p := pair(t, Config{})
	with := newPlug(t)
	p.pass(aHandle, with.far)
	msg := receive(t, c)
	require.Equal(t, `"handle"`, string(msg.Data))
	with.requireIn(t, msg)
	require.Equal(t, lineACK, p.line())
}

// A socket that has an address and does not listen yet, as a Node cluster shares
// it, listens once it is taken as a listener. A connection does not.
func TestReceiveBoundSocket(t *testing.T) {
	noLeaks(t)
	c, p := pair(t, Config{})
	bound, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	require.NoError(t, err)
	require.NoError(t, unix.Bind(bound, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	p.pass(aHandle, bound)
	require.NoError(t, unix.Close(bound))
	listener, err := receive(t, c).Listener()
	require.NoError(t, err)
	defer listener.Close()
	near, err := net.Dial("tcp", listener.Addr().String())
	require.NoError(t, err)
	defer near.Close()
	far, err := listener.Accept()
	require.NoError(t, err)
	defer far.Close()

	raw, err := far.(*net.TCPConn).SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Control(func(fd uintptr) { p.pass(aHandle, int(fd)) }))
	message := receive(t, c)
	_, err = message.Listener()
	require.ErrorIs(t, err, ErrNoHandle)
	conn, err := message.Conn()
	require.NoError(t, err)
	require.NoError(t, conn.Close())
}

// The acknowledgement is read although whoever ranges waits for it, and has been ranging
// since before.
func TestSendHandleWhileSomebodyRanges(t *testing.T) {
	noLeaks(t)
	c, p := pair(t, Config{})
	sent, ended := make(chan error, 1), make(chan error, 1)
	go func() {
		for range c.Messages() {
			ended <- <-sent
			return
		}
	}()
	ranging := func(want int) {
		require.Eventually(t, func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.reading.waiting == want
		}, patience, time.Millisecond)
	}
	ranging(1)
	go func() { sent <- c.SendHandle(testContext(t), 1, listener(t)) }()
	p.line()
	p.write("0\n")
	ranging(0)
	p.write("%s\n", lineACK)
	require.NoError(t, <-ended)
}
