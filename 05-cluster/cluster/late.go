package cluster

import (
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// lateConn is a connection that the worker accepts late: just before it reads the first byte. Until
// then the connection is not lost if the worker dies: another worker gets it, and the client's
// request with it. A silent connection is accepted after some milliseconds as well, so that the
// primary does not take the worker for frozen.
type lateConn struct {
	net.Conn
	answer   func(accepted bool) error // waits while the primary does not read
	patience *patience
	timer    *time.Timer
	awaited  sync.Once
	answered sync.Once
}

func newLateConn(conn net.Conn, answer func(accepted bool) error, p *patience) *lateConn {
	c := &lateConn{Conn: conn, answer: answer, patience: p}
	c.timer = time.AfterFunc(p.limit(), c.expire)
	return c
}

// expire accepts the connection if it is silent. If a byte is there, this process is busy, and Read
// will accept soon.
func (c *lateConn) expire() {
	if !c.hasByte() {
		c.patience.shorten()
		c.answered.Do(c.sayAccepted)
	}
}

func (c *lateConn) accept() {
	c.timer.Stop()
	c.answered.Do(c.sayAccepted)
}

// sayAccepted closes the connection if the primary is gone; then the listener will be closed, too.
func (c *lateConn) sayAccepted() {
	if c.answer(true) != nil {
		c.Conn.Close()
	}
}

func (c *lateConn) Read(b []byte) (int, error) {
	c.awaited.Do(c.awaitByte)
	c.accept()
	return c.Conn.Read(b)
}

// awaitByte waits until Read would not wait.
func (c *lateConn) awaitByte() {
	if raw, err := c.raw(); err == nil && raw.Read(peek) == nil && c.timer.Stop() {
		c.patience.prolong()
	}
}

func (c *lateConn) hasByte() (has bool) {
	if raw, err := c.raw(); err == nil {
		raw.Control(func(fd uintptr) { has = peek(fd) })
	}
	return has
}

func (c *lateConn) raw() (syscall.RawConn, error) { return c.Conn.(syscall.Conn).SyscallConn() }

// peek reports whether a read would not wait: a byte is there, or the end, or an error.
func peek(fd uintptr) bool {
	_, _, err := unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return err != unix.EAGAIN
}

func (c *lateConn) Write(b []byte) (int, error) {
	c.accept()
	return c.Conn.Write(b)
}

// ReadFrom lets the kernel copy a file to the connection.
func (c *lateConn) ReadFrom(r io.Reader) (int64, error) {
	c.accept()
	return io.Copy(c.Conn, r)
}

// CloseWrite lets net/http answer a request that it has not read to the end.
func (c *lateConn) CloseWrite() error {
	return c.Conn.(interface{ CloseWrite() error }).CloseWrite()
}

// Close gives the connection back to the primary if it was not accepted.
func (c *lateConn) Close() error {
	c.timer.Stop()
	refused := false
	c.answered.Do(func() { refused = true }) // before Close wakes a Read, which would accept
	err := c.Conn.Close()
	if refused {
		go c.answer(false)
	}
	return err
}

// A connection is accepted when it has been silent for this long. Each silent connection halves it,
// because a client may open thousands; each that sends a byte in time restores a little, so that as
// many of both do not keep it long.
const (
	mostPatience  = 8 * time.Millisecond // less than the primary's stuckAfter
	leastPatience = 50 * time.Microsecond
)

// patience is how long the connections of a listener may be silent.
type patience struct {
	mu  sync.Mutex
	now time.Duration
}

func newPatience() *patience { return &patience{now: mostPatience} }

func (p *patience) limit() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

func (p *patience) shorten() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = max(p.now/2, leastPatience)
}

func (p *patience) prolong() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = min(p.now+p.now/8, mostPatience)
}
