package ipc

// maxReplies bounds the replies that wait for a peer that does not read, in bytes.
const maxReplies = 1 << 20

// reply queues a line for the peer. The reader must not write it itself: it might wait for
// a writer that waits for the peer, which waits for the reader.
func (c *Channel) reply(line string) {
	c.mu.Lock()
	tooMany := len(c.replies) > maxReplies
	c.replies = append(append(c.replies, line...), '\n')
	c.mu.Unlock()
	if tooMany {
		c.end(ErrPeerNotReading)
	}
}

// flushReplies sends the queued replies without waiting. If another goroutine is writing,
// that one sends them afterwards.
func (c *Channel) flushReplies() {
	if c.lockForReplies() {
		c.unlockWriting()
	}
}

// lockForReplies takes the right to write if there are replies and the right is free.
func (c *Channel) lockForReplies() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.replies) == 0 {
		return false
	}
	select {
	case c.outgoing.writing <- struct{}{}:
		return true
	default:
		return false
	}
}

// takeReplies empties the queue. The caller has the right to write.
func (c *Channel) takeReplies() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	replies := c.replies
	c.replies = nil
	c.outgoing.written += int64(len(replies))
	return replies
}
