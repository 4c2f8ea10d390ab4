package ipc

import (
	"cmp"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// lastWrite is how long Disconnect waits while another goroutine writes. Closing at once
// would lose half a line; waiting longer, a peer that never reads would block us.
const lastWrite = time.Second

// Channel is one end of the connection between parent and child. Its methods may be
// called from several goroutines.
type Channel struct {
	cfg      Config
	socket   *socket
	outgoing outgoing
	incoming incoming
	closed   chan struct{} // closed by end
	tracing  sync.Mutex    // serializes calls of cfg.Trace

	mu      sync.Mutex // guards the fields below
	changed sync.Cond  // signals that one of them has changed
	reading reading
	ended   bool
	inbox   inbox
	arrived arrivedFD
	sent    sent
	replies replies
	conns   map[string]connCount // by key, see countConn
}

// outgoing is the outgoing stream. Its fields belong to the goroutine that has put the
// token into writing; the token is the right to write.
type outgoing struct {
	writing chan struct{} // has room for one token
	written int64         // bytes passed to the kernel so far
	longEnd int64         // where the last write of over maxShortLine ended
}

// incoming is the incoming stream. Its fields belong to the goroutine that has set
// reading.active.
type incoming struct {
	oob      []byte
	lines    lines
	received int64 // bytes taken from the kernel so far
}

// reading is which goroutines read, and why.
type reading struct {
	active   bool // one goroutine is in readOnce
	waiting  int  // goroutines in Receive
	ahead    bool // readAhead runs
	nonblock bool // the peer is dead: read what is there, and wait for nothing
}

// newChannel makes a channel of a connected socket, and takes ownership of it.
func newChannel(fd int, cfg Config) *Channel {
	const limit = 64 << 20
	cfg.MaxLine, cfg.MaxInbox = cmp.Or(cfg.MaxLine, limit), cmp.Or(cfg.MaxInbox, limit)
	c := &Channel{
		cfg:      cfg,
		socket:   wrapSocket(fd, cfg.Poll),
		outgoing: outgoing{writing: make(chan struct{}, 1)},
		incoming: incoming{
			oob:   make([]byte, unix.CmsgSpace(4*maxRights)),
			lines: lines{max: cfg.MaxLine},
		},
		closed:  make(chan struct{}),
		arrived: arrivedFD{fd: -1},
		conns:   map[string]connCount{},
	}
	c.changed.L = &c.mu
	if cfg.Skip {
		c.incoming.lines.skip = c.skip
	}
	return c
}

// Disconnect closes the channel. The peer only sees the end of the stream. What Send has
// returned for still arrives; what Messages has not yielded is dropped, and its handles
// are closed. If the channel was closed before, by either side, Disconnect returns
// ErrClosed.
func (c *Channel) Disconnect() error {
	select {
	case c.outgoing.writing <- struct{}{}:
		c.socket.send(c.takeReplies(), nil, unix.MSG_DONTWAIT)
	case <-c.closed:
	case <-time.After(lastWrite):
	}
	first := c.end(nil)
	c.mu.Lock()
	dropped := c.inbox.items
	c.inbox = inbox{}
	c.mu.Unlock()
	for _, it := range dropped {
		it.msg.Close()
	}
	if !first {
		return ErrClosed
	}
	return nil
}

// PeerClosed reports whether the channel has ended on either side, also if Receive has not
// returned all messages yet.
func (c *Channel) PeerClosed() bool { return c.socket.peerClosed() }

// end closes the channel. If why is not nil, it is the last error that Messages yields.
// end reports whether the channel was open before.
func (c *Channel) end(why error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return false
	}
	c.step("disconnect", "channel closed")
	c.ended = true
	close(c.closed)
	c.socket.close()
	if why != nil {
		c.inbox.add(item{err: why})
	}
	for _, h := range c.sent.handles {
		c.finish(h, ErrClosed)
	}
	c.sent.handles = nil
	c.dropArrived()
	c.changed.Broadcast()
	return true
}

// readRest reads what a dead peer has left in the kernel, and then ends the channel. It does
// not wait for the end of the stream, because a grandchild may hold the channel open.
func (c *Channel) readRest() {
	c.mu.Lock()
	c.reading.nonblock = true
	if c.reading.active || shutdownKeepsQueue {
		// This wakes a blocked reader, which must happen even where it also drops
		// what is in the kernel. And it refuses what a grandchild goes on writing.
		c.socket.shutdown(unix.SHUT_RD)
	}
	c.readUntil(func() bool {
		return c.ended || c.inboxFull() && c.socket.hasUnread()
	})
	c.mu.Unlock()
	c.end(ErrInboxFull) // unless the end of the stream has ended it
}
