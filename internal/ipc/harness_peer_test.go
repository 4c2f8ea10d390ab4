package ipc

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"playing-with-processes/internal/clitest"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// The bytes that a peer writes most often.
const (
	handleMessage = `{"cmd":"NODE_HANDLE","type":"net.Socket","msg":"handle"}` + "\n"
	marker        = `"marker"` + "\n"
)

// peer is the other end of a channel. The test reads and writes its bytes.
type peer struct {
	t *testing.T
	*net.UnixConn
	in      *bufio.Reader
	arrived []int // descriptors, oldest first
}

// newPeer returns a channel and its peer.
func newPeer(t *testing.T, cfg Config) (*Channel, *peer) {
	t.Helper()
	ours, theirs, err := socketpair()
	require.NoError(t, err)
	cfg.Poll = cfg.Poll || os.Getenv(pollVariable) != ""
	c := newChannel(ours, cfg)
	if c.socket.file != nil {
		t.Log(polled)
	}
	file := os.NewFile(uintptr(theirs), "peer")
	conn, err := net.FileConn(file)
	require.NoError(t, err)
	file.Close()
	p := &peer{t: t, UnixConn: conn.(*net.UnixConn)}
	p.in = bufio.NewReader(p)
	p.SetDeadline(clitest.Deadline(t))
	t.Cleanup(func() {
		c.Disconnect()
		p.Close()
		for _, fd := range p.arrived {
			unix.Close(fd)
		}
	})
	return c, p
}

// connectedChannels returns two channels that are connected to each other.
func connectedChannels(t *testing.T) (a, b *Channel) {
	t.Helper()
	ours, theirs, err := socketpair()
	require.NoError(t, err)
	a, b = newChannel(ours, Config{}), newChannel(theirs, Config{})
	t.Cleanup(func() { a.Disconnect(); b.Disconnect() })
	return a, b
}

// Read keeps the descriptors that come with the bytes.
func (p *peer) Read(buf []byte) (int, error) {
	oob := make([]byte, unix.CmsgSpace(4*maxRights))
	n, oobn, _, _, err := p.ReadMsgUnix(buf, oob)
	p.arrived = append(p.arrived, parseRights(oob[:oobn])...)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

// line returns the next line that the channel wrote.
func (p *peer) line() string {
	p.t.Helper()
	line, err := p.in.ReadString('\n')
	require.NoError(p.t, err)
	return strings.TrimSuffix(line, "\n")
}

// write writes bytes as they are.
func (p *peer) write(format string, args ...any) {
	p.t.Helper()
	_, err := fmt.Fprintf(p.UnixConn, format, args...)
	require.NoError(p.t, err)
}

// pass writes bytes with descriptors.
func (p *peer) pass(text string, fds ...int) {
	p.t.Helper()
	n, _, err := p.WriteMsgUnix([]byte(text), unix.UnixRights(fds...), nil)
	require.NoError(p.t, err)
	require.Equal(p.t, len(text), n)
}

// waitUntilRead waits until the kernel holds no byte that the peer wrote.
func waitUntilRead(t *testing.T, p *peer) {
	t.Helper()
	raw, err := p.SyscallConn()
	require.NoError(t, err)
	for unread := 1; unread > 0; runtime.Gosched() {
		raw.Control(func(fd uintptr) { unread, err = unix.IoctlGetInt(int(fd), unix.TIOCOUTQ) })
		require.NoError(t, err)
	}
}

// receiveUntilMarker makes the peer write a marker, which must arrive, and returns what
// arrives before it.
func receiveUntilMarker(t *testing.T, c *Channel, p *peer) (data []string, errs []error) {
	t.Helper()
	p.write(marker)
	for {
		msg, err := receiveAny(t, c)
		switch {
		case err == io.EOF:
			require.FailNow(t, "the channel has ended")
		case err != nil:
			errs = append(errs, err)
		case string(msg.Data)+"\n" == marker:
			return data, errs
		default:
			data = append(data, string(msg.Data))
		}
	}
}

// requireHandleArrives requires that a valid handle still arrives and is acknowledged.
func requireHandleArrives(t *testing.T, c *Channel, p *peer) {
	t.Helper()
	pair := newSocketPair(t)
	p.pass(handleMessage, pair.far)
	pair.requireFarEndOf(t, receive(t, c))
	require.Equal(t, lineACK, p.line())
}

// socketPair is a connection. A test sends the far end as a handle. The near end shows
// where the far end arrived, and whether a copy of it is open.
type socketPair struct{ near, far int }

func newSocketPair(t *testing.T) *socketPair {
	t.Helper()
	near, far, err := socketpair()
	require.NoError(t, err)
	p := &socketPair{near, far}
	t.Cleanup(func() { unix.Close(near); p.closeFar() })
	return p
}

func (p *socketPair) closeFar() {
	if p.far >= 0 {
		unix.Close(p.far)
		p.far = -1
	}
}

// read reads from the near end. It returns "" if no copy of the far end is open.
func (p *socketPair) read(t *testing.T) string {
	t.Helper()
	got := make([]byte, 100)
	n, err := unix.Read(p.near, got)
	require.NoError(t, err)
	return string(got[:n])
}

// requireFarEndOf requires that the handle of msg is the far end.
func (p *socketPair) requireFarEndOf(t *testing.T, msg Message) {
	t.Helper()
	conn, err := msg.Conn()
	require.NoError(t, err)
	defer conn.Close()
	text := fmt.Sprintf("to descriptor %d", p.near)
	_, err = conn.Write([]byte(text))
	require.NoError(t, err)
	require.Equal(t, text, p.read(t))
}

// requireFarClosed closes the test's own far end and requires that no copy is open.
func (p *socketPair) requireFarClosed(t *testing.T) {
	t.Helper()
	p.closeFar()
	require.Empty(t, p.read(t))
}

// descriptor is a handle to send that is a bare descriptor.
type descriptor int

func (d descriptor) SyscallConn() (syscall.RawConn, error) { return d, nil }
func (d descriptor) Control(f func(fd uintptr)) error      { f(uintptr(d)); return nil }
func (d descriptor) Read(func(fd uintptr) bool) error      { return errors.ErrUnsupported }
func (d descriptor) Write(func(fd uintptr) bool) error     { return errors.ErrUnsupported }

// startSendHandle sends a handle in another goroutine. The result is the one value of the
// channel.
func startSendHandle(t *testing.T, c *Channel, message any, fd int) <-chan error {
	ctx, sent := clitest.Context(t), make(chan error, 1)
	go func() { sent <- c.SendHandle(ctx, message, descriptor(fd)) }()
	return sent
}

// sendHandles sends n handles concurrently. results waits for their results.
func sendHandles(t *testing.T, c *Channel, n int, message any) (results func() []error) {
	t.Helper()
	ln := listener(t)
	var wg sync.WaitGroup
	all := make([]error, n)
	for i := range n {
		wg.Go(func() { all[i] = c.SendHandle(clitest.Context(t), message, ln) })
	}
	return func() []error {
		wg.Wait()
		return all
	}
}

// readUnacknowledged reads n handles, after which the channel must wait for an
// acknowledgement. A plain message, sent after them, shows that there are no more.
func readUnacknowledged(t *testing.T, c *Channel, p *peer, n int) {
	t.Helper()
	for range n {
		require.Contains(t, p.line(), "NODE_HANDLE")
	}
	require.NoError(t, c.Send(clitest.Context(t), "no more"))
	require.Equal(t, `"no more"`, p.line())
}

// allocated returns how much memory this process has allocated so far. Garbage collection
// does not reduce it.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}
