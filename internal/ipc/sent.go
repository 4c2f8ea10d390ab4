package ipc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Node receiver reads 64 KiB at a time. If a read begins within the line of a handle and
// also brings the next handle, Node attaches the second descriptor to the first message.
// mayMixUp tells when that could happen. Then the second handle waits until the first is
// acknowledged.
const (
	// maxUnread is how much the peer may not have read yet: well below 64 KiB.
	maxUnread = 32 << 10
	// maxShortLine is the longest line that every kernel passes on in one piece. Only the
	// first piece has the descriptor, and a read ends after it.
	maxShortLine = 8 << 10
)

// sent is what SendHandle has sent and what the peer has acknowledged.
type sent struct {
	handles    []*sentHandle // not acknowledged, oldest first
	acked      chan struct{} // closed with the next acknowledgement; nil if no call waits for it
	ackedBytes int64         // where the line of the last acknowledged handle ended
	waiting    int           // calls of SendHandle that wait for their acknowledgement
}

// sentHandle is a handle between SendHandle or TrySendConn and the peer's acknowledgement.
// Meanwhile this process keeps a descriptor: macOS may discard a socket that no process holds.
type sentHandle struct {
	fd      int
	kind    Kind
	family  string
	end     int64        // where its line ends in the outgoing stream
	refused func()       // of TrySendConn, whose caller owns fd; or nil
	refs    atomic.Int32 // users of fd, a duplicate: the writer, and Channel.sent
	done    chan error   // has room for the one result
	waiting bool         // counted in sent.waiting
}

func newSentHandle(h syscall.Conn) (*sentHandle, error) {
	if h == nil {
		return nil, ErrNotAHandle
	}
	raw, err := h.SyscallConn()
	if err != nil {
		return nil, err
	}
	s := &sentHandle{done: make(chan error, 1)}
	s.refs.Store(1)
	closed := raw.Control(func(fd uintptr) { err = s.duplicate(int(fd)) })
	return s, errors.Join(closed, err)
}

// duplicate duplicates fd. The duplicate shares O_NONBLOCK, which must be set: a blocking
// socket would freeze a Node receiver at the first write that fills it.
func (s *sentHandle) duplicate(fd int) (err error) {
	if s.kind, s.family, err = kindOf(fd); err != nil {
		return err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return err
	}
	s.fd, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	return err
}

func (s *sentHandle) unref() {
	if s.refused == nil && s.refs.Add(-1) == 0 {
		unix.Close(s.fd)
	}
}

// line returns the NODE_HANDLE line for the descriptor and v, which is encoded in message.
func (s *sentHandle) line(v any, message []byte) []byte {
	kind, family := s.kind, s.family
	if _, cluster := v.(ClusterMessage); cluster {
		kind, family = natives[kind], ""
	}
	line := fmt.Appendf(nil, `{"cmd":"NODE_HANDLE","type":%q,"msg":%s`, kind, message)
	if family != "" {
		line = fmt.Appendf(line, `,"dgramType":%q`, family)
	}
	return append(line, "}\n"...)
}

// SendHandle sends v together with the socket h: a *net.TCPListener, *net.TCPConn,
// *net.UnixListener, *net.UnixConn or *net.UDPConn, or anything else with such a
// descriptor. Both processes have the socket then. The caller keeps its own, and closes
// it; a *net.UnixListener removes its path then, unless SetUnlinkOnClose(false) was called.
//
// nil means that the peer has the message and the handle. ErrHandleLost means that it has
// neither, because it is short of descriptors or holds 256 handles that its program has
// not received; SendHandle does not send again. If ctx or the channel ends first, the
// outcome is unknown.
//
// While SendHandle waits, the channel reads ahead, as Receive documents. A loop over Messages
// that sends a handle for each message must be faster than the peer, or send from another
// goroutine.
func (c *Channel) SendHandle(ctx context.Context, v any, h syscall.Conn) error {
	var message bytes.Buffer
	if err := c.encode(&message, v); err != nil {
		return err
	}
	s, err := newSentHandle(h)
	if err != nil {
		return fmt.Errorf("send handle: %w", err)
	}
	line := s.line(v, bytes.TrimSpace(message.Bytes()))
	if len(line) > c.cfg.MaxLine {
		s.unref()
		return fmt.Errorf("send handle: %w: %d bytes", ErrLineTooLong, len(line))
	}
	c.mu.Lock()
	s.waiting = true
	c.sent.waiting++
	c.startReadAhead() // the acknowledgement must be read
	c.mu.Unlock()
	defer c.giveUp(s)
	if err := c.transmit(ctx, s, line); err != nil {
		return err
	}
	select {
	case err := <-s.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// transmit writes the line with the handle, once it may leave.
func (c *Channel) transmit(ctx context.Context, s *sentHandle, line []byte) error {
	for {
		if err := c.lockWriting(ctx); err != nil {
			s.unref()
			return err
		}
		acked, ok := c.reserve(s, len(line))
		if ok {
			return c.write(ctx, line, s)
		}
		c.unlockWriting()
		select {
		case <-acked:
		case <-c.closed:
		case <-ctx.Done():
		}
	}
}

// reserve queues s for its acknowledgement if its line may leave now. Otherwise it returns
// the channel to wait for. The caller has the right to write.
func (c *Channel) reserve(s *sentHandle, size int) (acked <-chan struct{}, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || c.mayMixUp(size) {
		if c.sent.acked == nil {
			c.sent.acked = make(chan struct{})
		}
		return c.sent.acked, false
	}
	s.end = c.outgoing.written + int64(size)
	s.refs.Add(1)
	c.sent.handles = append(c.sent.handles, s)
	return nil, true
}

// mayMixUp reports whether Node could attach the handle of a line of this size to an earlier
// message. The caller has the right to write, and holds c.mu.
func (c *Channel) mayMixUp(size int) bool {
	out, acked := &c.outgoing, c.sent.ackedBytes
	switch {
	case len(c.sent.handles) == 0: // the peer has read everything up to its last handle
		return false
	case size > maxShortLine || out.longEnd > acked: // it reads a long line in pieces
		return true
	}
	return out.written+int64(size)-acked > maxUnread // it reads this in pieces, too
}

// acknowledge ends the oldest sent handle with the peer's answer. An answer without a
// handle is ignored; Node would throw.
func (c *Channel) acknowledge(result error) {
	s := c.takeOldest(result)
	if s != nil && s.refused != nil && result != nil {
		s.refused()
	}
}

// takeOldest removes the oldest sent handle, and gives SendHandle its result. It returns nil if
// there is none.
func (c *Channel) takeOldest(result error) *sentHandle {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.sent.handles) == 0 {
		return nil
	}
	s := c.sent.handles[0]
	c.sent.handles = slices.Delete(c.sent.handles, 0, 1)
	c.sent.ackedBytes = s.end
	c.finish(s, result)
	c.signalAcked()
	return s
}

// signalAcked wakes the senders in transmit. The caller holds c.mu.
func (c *Channel) signalAcked() {
	if c.sent.acked != nil {
		close(c.sent.acked)
		c.sent.acked = nil
	}
}

// finish gives SendHandle its result. The caller holds c.mu.
func (c *Channel) finish(s *sentHandle, result error) {
	if s.refused != nil {
		return
	}
	s.done <- result
	s.unref()
	c.stopWaiting(s)
}

// forget removes a handle that could not be written.
func (c *Channel) forget(s *sentHandle) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.sent.handles, s); i >= 0 {
		c.sent.handles = slices.Delete(c.sent.handles, i, i+1)
		s.unref()
		c.signalAcked()
	}
}

func (c *Channel) giveUp(s *sentHandle) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopWaiting(s)
}

// stopWaiting counts a sender once, whether the acknowledgement came first or the caller
// gave up first. The caller holds c.mu.
func (c *Channel) stopWaiting(s *sentHandle) {
	if s.waiting {
		s.waiting = false
		c.sent.waiting--
		c.changed.Broadcast()
	}
}
