package ipc

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// arrivedFD is a descriptor that has arrived while its line may still be incomplete. There
// is at most one: a read ends after the bytes that a descriptor came with, and a sender of
// several handles keeps to maxUnread.
type arrivedFD struct {
	fd  int   // or -1
	end int64 // where in the incoming stream the read that brought it ended
}

// keepArrived keeps the first of the descriptors that one read brought, because a line has
// one handle. It closes the others, and an earlier one that no line has claimed.
func (c *Channel) keepArrived(descriptors []int) {
	if len(descriptors) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropArrived()
	c.arrived = arrivedFD{descriptors[0], c.incoming.received}
	for _, fd := range descriptors[1:] {
		discard(fd)
	}
	if c.ended {
		c.dropArrived()
	}
}

// takeArrived returns the descriptor that came with the line that began at start, or -1. A
// descriptor that came before that line belongs to no handle, and is closed.
func (c *Channel) takeArrived(start int64) int {
	c.dropArrivedBefore(start)
	c.mu.Lock()
	defer c.mu.Unlock()
	fd := c.arrived.fd
	c.arrived.fd = -1
	return fd
}

// dropArrivedBefore closes a descriptor that came before a line that began at start, and reports
// whether there was one.
func (c *Channel) dropArrivedBefore(start int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.arrived.fd < 0 || c.arrived.end > start {
		return false
	}
	c.dropArrived()
	return true
}

// dropArrived closes a descriptor that no line has claimed. The caller holds c.mu.
func (c *Channel) dropArrived() {
	if c.arrived.fd >= 0 {
		discard(c.arrived.fd)
		c.arrived.fd = -1
	}
}

// receiveHandle acknowledges a handle and delivers it, or refuses it. It sends exactly one
// answer for each line: a second one would crash Node. A message of the cluster module is
// delivered even without its handle: its sender waits for a reply.
func (c *Channel) receiveHandle(line []byte, start int64, m internalMessage) {
	m = c.unwrap(m)
	fd := c.takeArrived(start)
	c.traceLine("receive", line, fd)
	cluster := c.isCluster(m.msg)
	h, err := c.newHandle(fd, m)
	if err != nil {
		if fd >= 0 {
			discard(fd)
		}
		lost := fmt.Errorf("receive: %w: %w", ErrHandleLost, err)
		if cluster {
			c.reply(lineACK)
			c.deliver(item{msg: Message{Data: []byte(m.msg), Cluster: true, handle: &handle{lost: lost}}})
			return
		}
		c.reply(lineNACK)
		c.deliver(item{err: lost})
		return
	}
	c.queueReply(lineACK, !cluster || !c.cfg.LateACK)
	msg := Message{Data: []byte(m.msg), Cluster: cluster, handle: h}
	if m.msg == nil {
		msg.Data = []byte("null") // undefined, to Node
	}
	if _, internal := c.parse(m.msg); internal {
		msg.Close()
		return
	}
	c.deliver(item{msg: msg})
}

// unwrap undoes what Node does to a handle that it sends again after a NACK: it makes the
// whole NODE_HANDLE the message of another one, each time.
func (c *Channel) unwrap(m internalMessage) internalMessage {
	for range 3 { // Node's retries
		inner, ok := c.parse(m.msg)
		if !ok || inner.cmd != "NODE_HANDLE" {
			break
		}
		m = inner
	}
	return m
}

// maxUndelivered is how many handles the inbox may hold before further ones are refused, so
// that a peer cannot use up our descriptors.
const maxUndelivered = 256

// newHandle makes a handle of a descriptor. It examines the descriptor itself, and does not
// trust the type that the message names.
func (c *Channel) newHandle(fd int, m internalMessage) (*handle, error) {
	if fd < 0 {
		return nil, errors.New("it came without a descriptor")
	}
	kind, _, err := kindOf(fd)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inbox.handles >= maxUndelivered {
		return nil, fmt.Errorf("%d handles have not been received yet", maxUndelivered)
	}
	h := &handle{file: os.NewFile(uintptr(fd), string(kind)), kind: kind}
	if m.key != "" && kind == KindConn {
		h.closed = c.countConn(m.key)
	}
	return h, nil
}

// parseRights returns the descriptors in a control message.
func parseRights(oob []byte) (descriptors []int) {
	messages, _ := unix.ParseSocketControlMessage(oob) // nil with an error
	for _, m := range messages {
		fds, _ := unix.ParseUnixRights(&m) // nil if the message carries something else
		closeOnExec(fds)
		descriptors = append(descriptors, fds...)
	}
	return descriptors
}

// discard closes an unwanted descriptor.
func discard(fd int) {
	noLinger(fd)
	unix.Close(fd)
}

// noLinger undoes an SO_LINGER that the peer has set. Without it, closing a socket could
// block for as long as the peer likes, because the peer has filled the send buffer.
func noLinger(fd int) {
	unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{})
}
