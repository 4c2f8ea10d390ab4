package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"playing-with-processes/internal/drain"
	"playing-with-processes/internal/ipc"
)

// defaultDrain is how long Serve finishes requests under Node's primary, which does not say.
const defaultDrain = 5 * time.Second

// primaryConn is a worker's connection to its primary.
type primaryConn struct {
	channel   *ipc.Channel
	id        int
	slot      atomic.Int64
	mailbox   *mailbox[struct{}]
	unread    bool          // the last message was lost; for readLoop
	leave     chan struct{} // closed when it is time to leave
	drainTime time.Duration // for Serve; valid then

	mu           sync.Mutex // guards the fields below
	serving      int        // calls of Serve
	waitsForExit bool       // the primary has said how long it waits, which Node's does not
	drained      bool       // we have ended the channel
	seq          int64
	requests     map[int64]request // by the seq of their message
	servers      map[string]server // by key
	indexes      map[string]index  // by the key with index 0
}

// request waits for its reply.
type request struct {
	server  server // that the reply opens, or nil
	replied chan<- error
}

// server is a listener or a packet connection of this worker.
type server interface {
	// open handles the primary's reply, and the socket in it if there is one.
	open(m message, raw ipc.Message) error
	Close() error
}

// connect is the first thing that a worker does.
func connect(id int) (*primaryConn, error) {
	channel, err := ipc.Config{Cluster: true, LateACK: true}.Parent()
	if err != nil {
		return nil, fmt.Errorf("worker by %s: %w", uniqueID, err)
	}
	c := &primaryConn{
		channel:   channel,
		id:        id,
		mailbox:   newMailbox[struct{}](),
		leave:     make(chan struct{}),
		drainTime: defaultDrain,
		requests:  map[int64]request{},
		servers:   map[string]server{},
		indexes:   map[string]index{},
	}
	c.slot.Store(int64(slotAtStart()))
	if err := c.send(message{Act: actOnline}); err != nil {
		return nil, err
	}
	go c.readLoop()
	return c, nil
}

func (c *primaryConn) send(m message) error {
	return c.channel.Send(context.Background(), ipc.ClusterMessage{Message: c.number(m)})
}

func (c *primaryConn) number(m message) message {
	c.mu.Lock()
	defer c.mu.Unlock()
	m.Cmd, m.Seq = command, c.seq
	c.seq++
	return m
}

// request sends a message and waits for the reply, which opens s if it is not nil.
func (c *primaryConn) request(m message, s server) error {
	m, replied := c.number(m), make(chan error, 1)
	c.mu.Lock()
	if c.leaving() { // there would be no reply
		c.mu.Unlock()
		return net.ErrClosed
	}
	c.requests[m.Seq] = request{s, replied}
	c.mu.Unlock()
	if err := c.channel.Send(context.Background(), ipc.ClusterMessage{Message: m}); err != nil {
		return err
	}
	return <-replied
}

// readLoop handles the primary's messages until the primary is gone.
func (c *primaryConn) readLoop() {
	for raw, err := range c.channel.Messages() {
		var m message
		switch {
		case err != nil || !raw.Cluster:
			c.receive(raw, err)
		case raw.Decode(&m) == nil:
			c.handleMessage(m, raw)
		}
		raw.Close()
	}
	c.mailbox.close()
	c.mu.Lock()
	orphan := !c.drained
	c.mu.Unlock()
	if orphan { // without a primary there is no port; Node's worker exits at once
		time.AfterFunc(drain.OrphanTimeout, func() { os.Exit(0) })
		c.startLeaving(0)
	}
}

// beginServing counts a call of Serve, which must call the returned function when it has served
// and drained. After the last one the channel to a Node primary ends, as Node's workers end it:
// a program may kill a worker that does not disconnect soon. Our primary waits for the exit.
func (c *primaryConn) beginServing() (drained func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.serving++
	return func() {
		c.mu.Lock()
		c.serving--
		c.drained = c.serving == 0 && c.leaving() && !c.waitsForExit
		drained := c.drained
		c.mu.Unlock()
		if drained {
			c.channel.Disconnect()
		}
	}
}

func (c *primaryConn) handleMessage(m message, raw ipc.Message) {
	switch {
	case m.Ack != nil:
		c.handleReply(m, raw)
	case m.Act == actConnection:
		c.handleConnection(m, raw)
	case m.Act == actDisconnect:
		c.startLeaving(m.Within)
	case m.Act == actSlot && m.Slot != nil:
		c.slot.Store(int64(*m.Slot))
	}
}

// handleReply opens a request's server before readLoop reads its first connection.
func (c *primaryConn) handleReply(m message, raw ipc.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, ok := c.requests[*m.Ack]
	delete(c.requests, *m.Ack)
	switch errno := m.errno(); {
	case !ok:
	case errno != 0:
		r.replied <- os.NewSyscallError("bind", syscall.Errno(-errno))
	case r.server != nil:
		err := r.server.open(m, raw)
		if err == nil {
			c.servers[m.Key] = r.server
		}
		r.replied <- err
	default: // the reply to Leave
		r.replied <- nil
		go c.startLeaving(m.Within)
	}
}

// handleConnection offers a connection to its server. It belongs to this worker once the
// server has answered that it accepts it; until then the primary may give it to another one.
func (c *primaryConn) handleConnection(m message, raw ipc.Message) {
	conn, err := raw.Conn()
	o := &offer{conn: conn, primary: c, seq: m.Seq}
	c.mu.Lock()
	l, ok := c.servers[m.Key].(*listener)
	c.mu.Unlock()
	if err != nil || !ok { // with an error, this process is short of descriptors
		go o.refuse()
		return
	}
	l.offer(o)
}

// startLeaving closes all servers, after it has signaled Leaving. within is how many
// milliseconds the primary will wait, or 0 if that is unknown.
func (c *primaryConn) startLeaving(within int64) {
	c.mu.Lock()
	if c.leaving() {
		c.mu.Unlock()
		return
	}
	if within > 0 {
		c.waitsForExit = true
		c.drainTime = time.Duration(within) * time.Millisecond
	}
	close(c.leave)
	servers, requests := c.servers, c.requests
	c.servers, c.requests = nil, nil
	c.mu.Unlock()
	for _, r := range requests { // there will be no reply
		r.replied <- net.ErrClosed
	}
	for _, s := range servers {
		s.Close()
	}
}

// leaving reports whether this worker is about to leave.
func (c *primaryConn) leaving() bool { return isClosed(c.leave) }

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Leave makes this worker leave by itself: its servers are closed, and Serve drains and
// returns. The primary learns that it is no failure.
func Leave() error {
	c, err := self()
	if c == nil || c.leaving() {
		return err
	}
	err = c.request(message{Act: actLeave}, nil)
	<-c.leave
	if errors.Is(err, net.ErrClosed) { // the primary has asked for it, too
		return nil
	}
	return err
}

// Leaving returns a channel that is closed when this worker must leave: the primary has asked
// it to, or is gone, or Leave was called. Its servers are closed then. Finish the requests,
// and exit. When the primary is gone, the process ends half a second later, with code 0 as in
// Node. In a primary the channel is nil.
func Leaving() <-chan struct{} {
	if c, _ := self(); c != nil {
		return c.leave
	}
	return nil
}
