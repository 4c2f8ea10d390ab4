package ipc

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"playing-with-processes/internal/clitest"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// The line of a handle must be as Node writes it. SendHandle returns when the handle is
// acknowledged.
func TestSendHandle(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{})
	results := sendHandles(t, c, 1, "server")
	require.Equal(t, `{"cmd":"NODE_HANDLE","type":"net.Server","msg":"server"}`, p.line())
	require.Len(t, p.arrived, 1)
	p.write("%s\n", lineACK)
	require.Equal(t, []error{nil}, results())
	kind, _, err := kindOf(p.arrived[0])
	require.NoError(t, err)
	require.Equal(t, KindListener, kind)
}

// A line that the kernel accepts in pieces carries its descriptor once, with the first
// piece.
func TestSendHandleWithLongMessage(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{})
	results := sendHandles(t, c, 1, strings.Repeat("x", 1<<20))
	require.Contains(t, p.line(), "NODE_HANDLE")
	p.write("%s\n", lineACK)
	require.Equal(t, []error{nil}, results())
	require.Len(t, p.arrived, 1)
}

// The acknowledgement must be read even while the body of the only loop over Messages
// waits for it.
func TestSendHandleDuringMessages(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{})
	sent, ended := make(chan error, 1), make(chan error, 1)
	go func() {
		for range c.Messages() {
			ended <- <-sent
			return
		}
	}()
	requireWaiting := func(want int) {
		clitest.Eventually(t, func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.reading.waiting == want
		})
	}
	requireWaiting(1)
	go func() { sent <- c.SendHandle(clitest.Context(t), 1, listener(t)) }()
	p.line()
	p.write("0\n")
	requireWaiting(0)
	p.write("%s\n", lineACK)
	require.NoError(t, <-ended)
}

// Several handles may be unacknowledged, but only while a Node receiver cannot confuse
// them. The sender keeps its copy of each until the acknowledgement.
func TestConcurrentSendHandle(t *testing.T) {
	t.Run("many while little is unread", func(t *testing.T) {
		noLeaks(t)
		c, p := newPeer(t, Config{})
		before := len(clitest.OpenDescriptors(t))
		results := sendHandles(t, c, 100, "x")
		readUnacknowledged(t, c, p, 100)
		// The listener, the sender's copies, and the peer's.
		require.Equal(t, before+1+100+100, len(clitest.OpenDescriptors(t)))
		p.write("%s", strings.Repeat(lineACK+"\n", 100))
		require.Equal(t, make([]error, 100), results())
		require.Equal(t, before+1+100, len(clitest.OpenDescriptors(t)))
	})
	t.Run("one after much unread data", func(t *testing.T) {
		noLeaks(t)
		c, p := newPeer(t, Config{})
		require.NoError(t, c.Send(clitest.Context(t), strings.Repeat("x", maxUnread)))
		p.line()
		results := sendHandles(t, c, 3, "x")
		readUnacknowledged(t, c, p, 1)
		p.write("%s\n", lineACK) // so the peer has read all before it
		readUnacknowledged(t, c, p, 2)
		p.write("%s\n%s\n", lineACK, lineACK)
		require.Equal(t, make([]error, 3), results())
	})
	t.Run("one at a time while lines are long", func(t *testing.T) {
		noLeaks(t)
		c, p := newPeer(t, Config{})
		results := sendHandles(t, c, 3, strings.Repeat("x", maxShortLine))
		for range 3 {
			readUnacknowledged(t, c, p, 1)
			p.write("%s\n", lineACK)
		}
		require.Equal(t, make([]error, 3), results())
	})
}

// A goroutine that receives messages reads acknowledgements, too. A rejection is
// ErrHandleLost, for one sender only.
func TestRejectedHandle(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{})
	results := sendHandles(t, c, 3, "x")
	readUnacknowledged(t, c, p, 3)
	p.write("%s\n%s\n%s\n%s", lineACK, lineNACK, lineACK, marker)
	require.Equal(t, marker, string(receive(t, c).Data)+"\n")
	lost := 0
	for _, err := range results() {
		if err != nil {
			require.ErrorIs(t, err, ErrHandleLost)
			lost++
		}
	}
	require.Equal(t, 1, lost)
}

// An acknowledgement without a handle is ignored. The next handle still gets its own.
func TestUnexpectedAcknowledgements(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{})
	p.write("%s\n%s\n%s\n%s", lineACK, lineACK, lineNACK, marker)
	receive(t, c)
	results := sendHandles(t, c, 1, 1)
	p.line()
	p.write("%s\n%s\n%s", lineACK, lineACK, marker)
	require.Equal(t, []error{nil}, results())
	receive(t, c)
	results = sendHandles(t, c, 1, 1)
	p.line()
	p.write("%s\n", lineNACK)
	require.ErrorIs(t, results()[0], ErrHandleLost)
}

// A handle that cannot be sent is an error, and nothing is sent.
func TestSendHandleRejectsUnsupported(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{})
	ctx := clitest.Context(t)
	file, err := os.Open("/dev/null")
	require.NoError(t, err)
	defer file.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed.Close()
	unixgram, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: t.TempDir() + "/s"})
	require.NoError(t, err)
	defer unixgram.Close()

	require.ErrorIs(t, c.SendHandle(ctx, 1, nil), ErrNotAHandle)
	require.ErrorIs(t, c.SendHandle(ctx, 1, file), ErrNotAHandle)
	require.ErrorIs(t, c.SendHandle(ctx, 1, unixgram), ErrNotAHandle)
	require.ErrorIs(t, c.SendHandle(ctx, 1, closed.(*net.TCPListener)), net.ErrClosed)
	require.ErrorIs(t, c.SendHandle(ctx, map[string]string{"cmd": "NODE_X"}, closed.(*net.TCPListener)), ErrReserved)
	require.NoError(t, c.Send(ctx, "only this"))
	require.Equal(t, `"only this"`, p.line())
}

// MaxLine applies to the line on the wire, which is longer than the message.
func TestSendHandleLineLimit(t *testing.T) {
	noLeaks(t)
	c, _ := newPeer(t, Config{MaxLine: 100})
	require.ErrorIs(t, c.SendHandle(clitest.Context(t), strings.Repeat("x", 90), listener(t)), ErrLineTooLong)
}

// Sender and receiver share O_NONBLOCK: it must be set before the socket is sent.
func TestSentSocketsAreNonBlocking(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{})
	file, err := listener(t).File()
	require.NoError(t, err)
	defer file.Close()
	file.Fd() // makes it blocking
	sent := make(chan error, 1)
	go func() { sent <- c.SendHandle(clitest.Context(t), 1, file) }()
	p.line()
	p.write("%s\n", lineACK)
	require.NoError(t, <-sent)
	flags, err := unix.FcntlInt(uintptr(p.arrived[0]), unix.F_GETFL, 0)
	require.NoError(t, err)
	require.NotZero(t, flags&unix.O_NONBLOCK)
}

// Both sides may send handles while neither receives messages: each reads the
// acknowledgements ahead.
func TestHandlesInBothDirections(t *testing.T) {
	noLeaks(t)
	a, b := connectedChannels(t)
	there, back := sendHandles(t, a, 100, "there"), sendHandles(t, b, 100, "back")
	require.Equal(t, make([]error, 100), there())
	require.Equal(t, make([]error, 100), back())
	for range 100 {
		require.NoError(t, receive(t, a).Close())
		require.NoError(t, receive(t, b).Close())
	}
}

// An acknowledgement that comes before the line has left must not close the descriptor,
// cut off the line or block later senders.
func TestAcknowledgedDuringWrite(t *testing.T) {
	t.Run("in the middle of its line", func(t *testing.T) {
		noLeaks(t)
		c, p := newPeer(t, Config{})
		pair := newSocketPair(t)
		sent := startSendHandle(t, c, strings.Repeat("x", 1<<20), pair.far)
		_, err := p.in.Peek(1)
		require.NoError(t, err)
		p.write("%s\n", lineACK)
		receiveUntilMarker(t, c, p)
		require.Contains(t, p.line(), "NODE_HANDLE")
		require.NoError(t, <-sent)
		requirePeerReceived(t, p, pair, 1)
	})
	t.Run("before its descriptor has left", func(t *testing.T) {
		noLeaks(t)
		const all = 400 // more than the kernel holds unread
		c, p := newPeer(t, Config{})
		pair := newSocketPair(t)
		var results []<-chan error
		for range all {
			results = append(results, startSendHandle(t, c, "x", pair.far))
		}
		_, err := p.in.Peek(1)
		require.NoError(t, err)
		p.write("%s", strings.Repeat(lineACK+"\n", all))
		receiveUntilMarker(t, c, p)
		for range all {
			require.Contains(t, p.line(), "NODE_HANDLE")
			p.write("%s\n", lineACK)
		}
		for _, result := range results {
			require.NoError(t, <-result)
		}
		requirePeerReceived(t, p, pair, all)
	})
}

// requirePeerReceived requires that the peer received the far end n times.
func requirePeerReceived(t *testing.T, p *peer, pair *socketPair, n int) {
	t.Helper()
	require.Len(t, p.arrived, n)
	for i, fd := range p.arrived {
		text := fmt.Sprint("number ", i)
		_, err := unix.Write(fd, []byte(text))
		require.NoError(t, err)
		require.Equal(t, text, pair.read(t))
	}
}

// SendHandle ends with its context. If the peer never acknowledges, Disconnect closes the
// copies of the sender.
func TestUnacknowledgedHandlesAreClosed(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{})
	pair := newSocketPair(t)
	for range 5 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		require.ErrorIs(t, c.SendHandle(ctx, 1, descriptor(pair.far)), context.DeadlineExceeded)
		cancel()
	}
	receiveUntilMarker(t, c, p) // messages still arrive
	require.NoError(t, c.Disconnect())
	p.Close() // which closes what it has not read
	pair.requireFarClosed(t)
}
