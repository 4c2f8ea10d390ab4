package ipc

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// lastWrite is how long Disconnect waits for a line that another goroutine is
// writing. Half a line would be lost, a peer that never reads must not hold us.
const lastWrite = time.Second

// Channel is one end of the connection between parent and child. Its methods
// may be called from several goroutines.
type Channel struct {
	cfg    Config
	socket socket

	// writing holds one token. Whoever puts it in may write, and has the two
	// positions in the outgoing stream below.
	writing  chan struct{}
	written  int64 // bytes handed over for writing, ever
	longLine int64 // where the last line over maxShortLine ended

	// The goroutine that set reading has these.
	buf, oob []byte
	decoder  lines
	received int64 // bytes taken from the kernel, ever

	closed  chan struct{} // closed by end
	tracing sync.Mutex    // makes calls of cfg.Trace one at a time

	mu       sync.Mutex // guards what follows
	changed  sync.Cond  // something that follows has changed
	reading  bool       // a goroutine is in fill
	ranging  int        // goroutines that want a message
	ahead    bool       // readAhead is at work
	noWait   bool       // the peer is dead: read what is there, wait for no more
	ended    bool
	inbox    inbox
	passed   passed
	flights  []*flight // our handles, in the order of the awaited answers
	landed   chan struct{}
	settled  int64 // where the line of the last acknowledged handle ended
	awaiting int   // callers that need an acknowledgement to go on
	answers  []byte
	sockets  map[string]*socketCount
}

// newChannel makes a channel of a connected socket, which it owns from now on.
func newChannel(fd int, cfg Config) *Channel {
	cfg = cfg.withDefaults()
	c := &Channel{
		cfg:     cfg,
		socket:  socket{fd: fd},
		writing: make(chan struct{}, 1),
		buf:     make([]byte, readSize),
		oob:     make([]byte, unix.CmsgSpace(4*maxRights)),
		decoder: lines{max: cfg.MaxLine},
		closed:  make(chan struct{}),
		landed:  make(chan struct{}),
		passed:  passed{fd: -1},
		sockets: map[string]*socketCount{},
	}
	c.changed.L = &c.mu
	return c
}

// Disconnect closes the channel; nothing tells the peer but the end of the
// stream. What Send has returned for still arrives. What Messages has not
// yielded yet is dropped, and handles with it. On a closed channel, whoever
// closed it, this is ErrClosed.
func (c *Channel) Disconnect() error {
	select {
	case c.writing <- struct{}{}:
		c.socket.send(c.takeAnswers(), nil, unix.MSG_DONTWAIT)
	case <-c.closed:
	case <-time.After(lastWrite):
	}
	first := c.end(nil)
	c.mu.Lock()
	dropped := c.inbox
	c.inbox = inbox{}
	c.mu.Unlock()
	for it, ok := dropped.take(); ok; it, ok = dropped.take() {
		it.msg.Close()
	}
	if !first {
		return ErrClosed
	}
	return nil
}

// end closes the channel for good; why, if not nil, is the last thing that
// Messages yields. It reports whether the channel was open until now.
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
	for _, f := range c.flights {
		c.finish(f, ErrClosed)
	}
	c.flights = nil
	c.dropPassed()
	c.changed.Broadcast()
	return true
}

// drain takes in what a dead peer has left in the kernel, and ends the channel.
// It does not wait for the end of the stream, which grandchildren may hold off.
func (c *Channel) drain() {
	c.mu.Lock()
	c.noWait = true
	if c.reading || stopKeepsQueue {
		// Wakes a reader that found nothing, and keeps out what a grandchild
		// might go on writing.
		c.socket.stop(unix.SHUT_RD)
	}
	c.readUntil(func() bool { return c.ended || c.inbox.over(c.cfg.MaxInbox) })
	c.mu.Unlock()
	c.end(nil)
}
