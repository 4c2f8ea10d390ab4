package ipc

// maxAnswers bounds what we owe a peer that asks and does not read, in bytes.
const maxAnswers = 1 << 20

// answer queues a line for the peer. The reader must not write by itself: it
// would wait for a writer that waits for the peer, which waits for the reader.
func (c *Channel) answer(line string) {
	c.mu.Lock()
	tooMany := len(c.answers) > maxAnswers
	c.answers = append(append(c.answers, line...), '\n')
	c.mu.Unlock()
	if tooMany {
		c.end(ErrPeerNotReading)
	}
}

// flushAnswers sends what is queued, unless somebody is writing, who will do it
// afterwards. It does not wait.
func (c *Channel) flushAnswers() {
	if c.wantsFlush() {
		c.release()
	}
}

// wantsFlush reports whether there are answers and takes the right to write
// them.
func (c *Channel) wantsFlush() bool {
	c.mu.Lock()
	none := len(c.answers) == 0
	c.mu.Unlock()
	if none {
		return false
	}
	select {
	case c.writing <- struct{}{}:
		return true
	default:
		return false
	}
}

// takeAnswers empties the queue, for whoever has the right to write.
func (c *Channel) takeAnswers() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	answers := c.answers
	c.answers = nil
	c.written += int64(len(answers))
	return answers
}
