package ipc

// replies are lines for the peer that answer Node's own messages, and are not written yet.
type replies struct {
	lines []byte
	due   bool // they must not wait for the next Send or Receive
}

// maxReplies bounds the replies that wait for a peer that does not read, in bytes.
const maxReplies = 1 << 20

// reply queues a line for the peer, which is sent once the read that caused it is handled. The
// reader must not write it itself: it might wait for a writer that waits for the peer, which waits
// for the reader.
func (c *Channel) reply(line string) { c.queueReply(line, true) }

// queueReply queues a line, which may wait for the next Send or Receive unless it is due.
func (c *Channel) queueReply(line string, due bool) {
	c.mu.Lock()
	c.replies.due = c.replies.due || due
	tooMany := len(c.replies.lines) > maxReplies
	c.replies.lines = append(append(c.replies.lines, line...), '\n')
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
	if len(c.replies.lines) == 0 {
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
	lines := c.replies.lines
	c.replies = replies{}
	return lines
}

// withReplies puts the queued replies before lines that are about to be written, if that needs no
// large copy. The caller has the right to write.
func (c *Channel) withReplies(lines []byte) []byte {
	if len(lines) > maxShortLine {
		return lines
	}
	if replies := c.takeReplies(); replies != nil {
		return append(replies, lines...)
	}
	return lines
}

// repliesDue reports whether a queued reply must be sent now.
func (c *Channel) repliesDue() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.replies.due
}
