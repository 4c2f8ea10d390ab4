package cluster

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
)

// lateTest is a lateConn with its client, and what it has answered.
type lateTest struct {
	*lateConn
	client  net.Conn
	answers chan bool
}

// newLateTest returns a connection that may stay silent, or only for a limit.
func newLateTest(t *testing.T, limit time.Duration) lateTest {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	client := dial(t, "tcp", l.Addr().String())
	conn, err := l.Accept()
	require.NoError(t, err)
	conn.SetDeadline(clitest.Deadline(t))
	answers := make(chan bool, 2)
	c := newLateConn(conn, func(accepted bool) error { answers <- accepted; return nil }, &patience{now: limit})
	t.Cleanup(func() { c.Close() })
	return lateTest{c, client, answers}
}

// requireByte requires that the client's byte is still unread when the connection is accepted.
func (c lateTest) requireByte(t *testing.T, read func([]byte) (int, error)) {
	t.Helper()
	answer := c.answer
	unread := false
	c.answer = func(accepted bool) error {
		unread = c.hasByte()
		return answer(accepted)
	}
	b := make([]byte, 2)
	n, err := read(b)
	require.NoError(t, err)
	require.Equal(t, "x", string(b[:n]))
	require.True(t, unread)
	require.True(t, <-c.answers)
}

// A connection must be accepted when its first byte has come, and before it is read.
func TestLateConn(t *testing.T) {
	c := newLateTest(t, clitest.Never)
	require.False(t, c.hasByte())
	go c.client.Write([]byte("x"))
	c.requireByte(t, c.Read)
	c.Close()
	require.Empty(t, c.answers, "it answers once")
}

// A silent connection must be accepted in time, and make the listener less patient.
func TestLateConnSilent(t *testing.T) {
	c := newLateTest(t, time.Millisecond)
	require.True(t, <-c.answers)
	require.Equal(t, time.Millisecond/2, c.patience.limit())
	go c.client.Write([]byte("x"))
	b := make([]byte, 1)
	_, err := c.Read(b)
	require.NoError(t, err)
	require.Empty(t, c.answers)
	require.Equal(t, time.Millisecond/2, c.patience.limit(), "it came too late")
}

// A connection must not count as silent if its byte waits because this process is busy.
func TestLateConnBusy(t *testing.T) {
	c := newLateTest(t, clitest.Never)
	_, err := c.client.Write([]byte("x"))
	require.NoError(t, err)
	clitest.Eventually(t, c.hasByte)
	c.expire()
	require.Empty(t, c.answers)
	c.requireByte(t, c.Read)
}

// A connection that is closed before a byte has come must go back, unless its client has ended it.
func TestLateConnClosed(t *testing.T) {
	c := newLateTest(t, clitest.Never)
	require.NoError(t, c.Close())
	require.False(t, <-c.answers)
	_, err := c.Read(make([]byte, 1))
	require.ErrorIs(t, err, net.ErrClosed)
	require.Empty(t, c.answers)

	c = newLateTest(t, clitest.Never)
	c.client.Close()
	_, err = c.Read(make([]byte, 1))
	require.Equal(t, io.EOF, err)
	require.True(t, <-c.answers)
}

// Also a Read that waits when the connection is closed must not accept it.
func TestLateConnClosedDuringRead(t *testing.T) {
	for range 100 {
		c := newLateTest(t, clitest.Never)
		ended := make(chan error, 1)
		go func() {
			_, err := c.Read(make([]byte, 1))
			ended <- err
		}()
		runtime.Gosched()
		require.NoError(t, c.Close())
		require.Error(t, <-ended)
		require.False(t, <-c.answers)
		require.Empty(t, c.answers)
	}
}

// A server that speaks first must have accepted, also when it sends a file or ends its direction.
func TestLateConnWrites(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(name, []byte("sent"), 0o600))
	file, err := os.Open(name)
	require.NoError(t, err)
	defer file.Close()
	for what, write := range map[string]func(c lateTest) error{
		"Write":    func(c lateTest) error { _, err := c.Write([]byte("sent")); return err },
		"ReadFrom": func(c lateTest) error { _, err := io.Copy(c.lateConn, file); return err },
	} {
		c := newLateTest(t, clitest.Never)
		require.NoError(t, write(c), what)
		require.True(t, <-c.answers, what)
		require.NoError(t, c.CloseWrite())
		text, err := io.ReadAll(c.client)
		require.NoError(t, err)
		require.Equal(t, "sent", string(text), what)
	}
}

// Clients that connect and send nothing must hardly delay others, and requests must restore the
// patience.
func TestPatience(t *testing.T) {
	p, waited := newPatience(), time.Duration(0)
	for range 1000 {
		waited += p.limit()
		p.shorten()
	}
	require.Less(t, waited, 2*mostPatience+1000*leastPatience)
	for range 50 {
		p.prolong()
	}
	require.Equal(t, mostPatience, p.limit())
	for range 50 { // as many of both
		p.shorten()
		p.prolong()
	}
	require.Less(t, p.limit(), 2*leastPatience)
}

// A worker with Serve must tell its primary that it accepts late.
func TestServeAcceptsLate(t *testing.T) {
	h := startPrimary(t, Settings{}, goHTTP...)
	workers, address := h.fork(1)
	clitest.Eventually(t, func() bool {
		h.Primary.mu.Lock()
		defer h.Primary.mu.Unlock()
		for _, pt := range workers[0].ports {
			return pt.scheduler.(*dispatcher).taker(workers[0]).late
		}
		return false
	})
	require.Equal(t, workers[0].String(), get(t, "tcp", address))
}
