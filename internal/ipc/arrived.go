package ipc

import "golang.org/x/sys/unix"

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
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.arrived.end <= start {
		c.dropArrived()
	}
	fd := c.arrived.fd
	c.arrived.fd = -1
	return fd
}

// dropArrived closes a descriptor that no line has claimed. The caller holds c.mu.
func (c *Channel) dropArrived() {
	if c.arrived.fd >= 0 {
		discard(c.arrived.fd)
		c.arrived.fd = -1
	}
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
