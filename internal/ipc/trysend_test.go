package ipc

import (
	"encoding/json"
	"strings"
	"testing"

	"playing-with-processes/internal/clitest"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TrySend must write the same line as Send.
func TestTrySend(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{})
	sent, err := c.TrySend(map[string]int{"a": 1})
	require.NoError(t, err)
	require.True(t, sent)
	require.Equal(t, `{"a":1}`, p.line())
	_, err = c.TrySend(json.RawMessage(`{"cmd":"NODE_OTHER"}`))
	require.ErrorIs(t, err, ErrReserved)
	require.NoError(t, c.Disconnect())
	sent, err = c.TrySend(1)
	require.False(t, sent)
	require.Equal(t, ErrClosed, err)
}

// While the peer does not read, TrySend must send nothing, and no part of a line. Later it must
// send again.
func TestTrySendToAPeerThatDoesNotRead(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{})
	line := strings.Repeat("x", 1000)
	lines := 0
	for {
		sent, err := c.TrySend(line)
		require.NoError(t, err)
		if !sent {
			break
		}
		lines++
	}
	require.Positive(t, lines)
	for range lines {
		require.Equal(t, `"`+line+`"`, p.line())
	}
	sent, err := c.TrySend(1)
	require.NoError(t, err)
	require.True(t, sent)
	require.Equal(t, "1", p.line())
}

// A line must be traced if it was sent, and only then.
func TestTrySendTraces(t *testing.T) {
	noLeaks(t)
	traced := 0
	c, _ := newPeer(t, Config{Trace: func(e Event) {
		if e.What == "send" {
			traced++
		}
	}})
	sends := 0
	for sent := true; sent; {
		var err error
		sent, err = c.TrySend(1)
		require.NoError(t, err)
		if sent {
			sends++
		}
	}
	require.Positive(t, sends)
	require.Equal(t, sends, traced)
}

// A line of which the kernel takes only a part must arrive as a whole, and before the next.
func TestTrySendOfALongLine(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{})
	long := strings.Repeat("x", 2<<20)
	sent, err := c.TrySend(long)
	require.NoError(t, err)
	require.True(t, sent)
	sent, err = c.TrySend(1)
	require.NoError(t, err)
	require.False(t, sent, "the rest of the line is being written")
	done := make(chan error, 1)
	go func() { done <- c.Send(clitest.Context(t), 2) }()
	require.Equal(t, `"`+long+`"`, p.line())
	require.Equal(t, "2", p.line())
	require.NoError(t, <-done)
}

// tryConn sends a connection, which must leave at once, and returns how often it was refused.
func tryConn(t *testing.T, c *Channel, fd int) (refused *int) {
	t.Helper()
	refused = new(int)
	sent, err := c.TrySendConn(ClusterMessage{json.RawMessage(clusterLine)}, fd, func() { *refused++ })
	require.NoError(t, err)
	require.True(t, sent)
	return refused
}

// TrySendConn must leave the connection to its caller, and report a refusal, once.
func TestTrySendConn(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{Cluster: true})
	far := newSocketPair(t).far
	before := len(clitest.OpenDescriptors(t))
	a, b := tryConn(t, c, far), tryConn(t, c, far)
	require.Equal(t, before, len(clitest.OpenDescriptors(t)))
	for range 2 {
		require.Equal(t, `{"cmd":"NODE_HANDLE","type":"net.Native","msg":`+clusterLine+`}`, p.line())
	}
	require.Len(t, p.arrived, 2)
	p.write("%s\n%s\n%s\n%s", lineACK, lineNACK, lineNACK, marker)
	receive(t, c)
	require.Equal(t, []int{0, 1}, []int{*a, *b})
}

// A connection must not leave while Node could attach it to another message, and not while the
// peer does not read; and then it must not count as sent.
func TestTrySendConnWouldWait(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{Cluster: true})
	far := newSocketPair(t).far
	try := func() (sent bool) {
		sent, err := c.TrySendConn(1, far, func() { require.Fail(t, "refused") })
		require.NoError(t, err)
		return sent
	}
	require.True(t, try())
	require.NoError(t, c.Send(clitest.Context(t), strings.Repeat("x", maxUnread)))
	require.False(t, try(), "the peer may have read only a part of what was sent")
	p.line()
	p.line()
	p.write("%s\n%s", lineACK, marker)
	receive(t, c)
	require.True(t, try())
	p.line()
	p.write("%s\n%s", lineACK, marker)
	receive(t, c)

	for sent := true; sent; {
		var err error
		sent, err = c.TrySend(1)
		require.NoError(t, err)
	}
	require.False(t, try(), "the kernel has no room")
	c.mu.Lock()
	defer c.mu.Unlock()
	require.Empty(t, c.sent.handles)
}

// The end of the channel must not count as a refusal.
func TestTrySendConnDisconnect(t *testing.T) {
	noLeaks(t)
	c, _ := newPeer(t, Config{Cluster: true})
	refused := tryConn(t, c, newSocketPair(t).far)
	require.NoError(t, c.Disconnect())
	require.Zero(t, *refused)
	_, err := c.TrySendConn(1, newSocketPair(t).far, func() {})
	require.Equal(t, ErrClosed, err)
}

// With LateACK, a connection's acknowledgement must come with the answer to its message, before it.
func TestLateACK(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{Cluster: true, LateACK: true})
	pass := func(message string) {
		t.Helper()
		pair := newSocketPair(t)
		p.pass(`{"cmd":"NODE_HANDLE","type":"net.Native","msg":`+message+"}\n", pair.far)
		pair.closeFar()
		require.NoError(t, receive(t, c).Close())
	}
	pass(clusterLine)
	requireNothingWritten(t, p)
	require.NoError(t, c.Send(clitest.Context(t), 1))
	require.Equal(t, lineACK, p.line())
	require.Equal(t, "1", p.line())

	pass(clusterLine)
	requireNothingWritten(t, p)
	p.write(marker)
	receive(t, c) // and before the channel is read again
	require.Equal(t, lineACK, p.line())

	pass("2") // but not that of another message
	require.Equal(t, lineACK, p.line())
}

// requireNothingWritten requires that the peer has read all that the channel has written.
func requireNothingWritten(t *testing.T, p *peer) {
	t.Helper()
	raw, err := p.SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Control(func(fd uintptr) {
		_, _, err = unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
	}))
	require.Equal(t, unix.EAGAIN, err)
}
