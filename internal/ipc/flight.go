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

// Node reads 64 KiB at a time. When such a read cuts the line of one handle and
// brings the next handle as well, it gives the first message the second
// descriptor. So a further handle may leave before the acknowledgement of the
// first only while all that the peer can have unread is well below that.
const (
	maxUnread    = 32 << 10
	maxShortLine = 8 << 10
)

// flight is a handle on its way to the peer. We keep a copy of it until the
// peer has acknowledged it: macOS may discard a descriptor that nobody holds.
type flight struct {
	fd      int
	kind    string
	family  string
	refs    atomic.Int32 // who may still use fd: the writer, and Channel.flights
	end     int64        // where its line ends in the outgoing stream
	done    chan error   // has room for the one result
	waiting bool         // counted in Channel.awaiting
}

func newFlight(h syscall.Conn) (*flight, error) {
	if h == nil {
		return nil, ErrNotAHandle
	}
	raw, err := h.SyscallConn()
	if err != nil {
		return nil, err
	}
	f := &flight{done: make(chan error, 1)}
	f.refs.Store(1)
	closed := raw.Control(func(fd uintptr) { err = f.copy(int(fd)) })
	return f, errors.Join(closed, err)
}

// copy duplicates fd. The duplicate shares its O_NONBLOCK, which must be set: a
// blocking socket would freeze a Node receiver at the first full write.
func (f *flight) copy(fd int) (err error) {
	if f.kind, f.family, err = kindOf(fd); err != nil {
		return err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return err
	}
	f.fd, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	return err
}

func (f *flight) unref() {
	if f.refs.Add(-1) == 0 {
		unix.Close(f.fd)
	}
}

// rights is the control message that passes fd on.
func (f *flight) rights() []byte {
	if f == nil {
		return nil
	}
	return unix.UnixRights(f.fd)
}

func (f *flight) descriptor() int {
	if f == nil {
		return -1
	}
	return f.fd
}

// line is the NODE_HANDLE line that goes with the descriptor.
func (f *flight) line(message []byte) []byte {
	line := fmt.Appendf(nil, `{"cmd":"NODE_HANDLE","type":%q,"msg":%s`, f.kind, message)
	if f.family != "" {
		line = fmt.Appendf(line, `,"dgramType":%q`, f.family)
	}
	return append(line, "}\n"...)
}

// SendHandle sends v, and with it the socket h: a *net.TCPListener,
// *net.TCPConn, *net.UnixListener, *net.UnixConn or *net.UDPConn, or anything
// else with such a descriptor. Both processes have the socket then; the caller
// keeps and closes its own (a *net.UnixListener removes its path then, unless
// SetUnlinkOnClose says no). nil means that the other side has it. ErrHandleLost
// means that the other side has got neither v nor the handle, for want of
// descriptors or because 256 wait there to be taken; nothing is sent again. When
// ctx ends first, or the channel, the outcome is unknown.
//
// The acknowledgement comes behind what the peer has written before. So while
// SendHandle waits, that is read ahead, up to Config.MaxInbox: a loop over
// Messages that sends a handle for each must be faster than the peer, or send
// them from another goroutine.
func (c *Channel) SendHandle(ctx context.Context, v any, h syscall.Conn) error {
	var message bytes.Buffer
	if err := c.encode(&message, v); err != nil {
		return err
	}
	f, err := newFlight(h)
	if err != nil {
		return fmt.Errorf("send handle: %w", err)
	}
	if m, _ := c.parse(message.Bytes()); m.cmd == cmdCluster {
		f.kind, f.family = natives[f.kind], ""
	}
	line := f.line(bytes.TrimSpace(message.Bytes()))
	if len(line) > c.cfg.MaxLine {
		f.unref()
		return fmt.Errorf("send handle: %w: %d bytes", ErrLineTooLong, len(line))
	}
	c.await(f)
	defer c.giveUp(f)
	if err := c.launch(ctx, f, line); err != nil {
		return err
	}
	select {
	case err := <-f.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// launch writes the line with the handle, once it may leave.
func (c *Channel) launch(ctx context.Context, f *flight, line []byte) error {
	for {
		if err := c.acquire(ctx); err != nil {
			f.unref()
			return err
		}
		landed, ok := c.board(f, len(line))
		if ok {
			return c.push(ctx, line, f)
		}
		c.release()
		select {
		case <-landed:
		case <-c.closed:
		case <-ctx.Done():
		}
	}
}

// board puts f among the flights if it may leave now, else it returns what to
// wait for. The caller has the right to write.
func (c *Channel) board(f *flight, size int) (landed <-chan struct{}, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	end := c.written + int64(size)
	unsafe := end-c.settled > maxUnread || size > maxShortLine || c.longLine > c.settled
	if c.ended || len(c.flights) > 0 && unsafe {
		return c.landed, false
	}
	f.end = end
	f.refs.Add(1)
	c.flights = append(c.flights, f)
	return nil, true
}

// land ends the first flight with the peer's answer. An answer to nothing is
// ignored (Node would die of it).
func (c *Channel) land(result error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.flights) == 0 {
		return
	}
	f := c.flights[0]
	c.flights = c.flights[1:]
	c.settled = f.end
	c.finish(f, result)
	c.makeRoom()
}

// makeRoom wakes who waits for a flight to end. The caller has c.mu.
func (c *Channel) makeRoom() {
	close(c.landed)
	c.landed = make(chan struct{})
}

// finish tells who waits for f. The caller has c.mu.
func (c *Channel) finish(f *flight, result error) {
	f.done <- result
	f.unref()
	c.stopAwaiting(f)
}

// forget strikes out a flight that could not be written.
func (c *Channel) forget(f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.flights, f); i >= 0 {
		c.flights = slices.Delete(c.flights, i, i+1)
		f.unref()
		c.makeRoom()
	}
}

// await sees to it that somebody reads the answer to f.
func (c *Channel) await(f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f.waiting = true
	c.awaiting++
	c.seeToReading()
}

// seeToReading lets read ahead if an acknowledgement is awaited and nobody ranges, whose
// part that would be. The caller has c.mu.
func (c *Channel) seeToReading() {
	if c.awaiting > 0 && c.ranging == 0 && !c.ahead {
		c.ahead = true
		go c.readAhead()
	}
}

func (c *Channel) giveUp(f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopAwaiting(f)
}

// stopAwaiting is called by whoever is first, the reader of the answer or the
// caller that does not wait any longer. The caller has c.mu.
func (c *Channel) stopAwaiting(f *flight) {
	if f.waiting {
		f.waiting = false
		c.awaiting--
		c.changed.Broadcast()
	}
}
