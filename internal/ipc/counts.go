package ipc

import (
	"encoding/json"
	"fmt"
)

// socketCount is what a Node sender wants to know of the connections that one
// of its servers passed on to us.
type socketCount struct {
	open    int
	closing bool // the sender waits for the last of them
}

// countSocket notes one more open connection of key, and returns what notes its
// end. The caller has c.mu.
func (c *Channel) countSocket(key string) (gone func()) {
	if c.sockets[key] == nil {
		c.sockets[key] = &socketCount{}
	}
	c.sockets[key].open++
	return func() { c.uncountSocket(key) }
}

func (c *Channel) uncountSocket(key string) {
	c.mu.Lock()
	count := c.sockets[key]
	count.open--
	last := count.open == 0
	if last {
		delete(c.sockets, key)
	}
	c.mu.Unlock()
	if last && count.closing {
		c.answerAllClosed(key)
		c.flushAnswers()
	}
}

// answerCount answers Node's server.getConnections.
func (c *Channel) answerCount(key string) {
	c.mu.Lock()
	open := 0
	if count := c.sockets[key]; count != nil {
		open = count.open
	}
	c.mu.Unlock()
	c.answer(fmt.Sprintf(`{"cmd":"NODE_SOCKET_COUNT","key":%s,"count":%d}`, quote(key), open))
}

// answerClose answers Node's server.close, now or when the last connection of
// key ends.
func (c *Channel) answerClose(key string) {
	c.mu.Lock()
	count := c.sockets[key]
	if count != nil {
		count.closing = true
	}
	c.mu.Unlock()
	if count == nil {
		c.answerAllClosed(key)
	}
}

func (c *Channel) answerAllClosed(key string) {
	c.answer(fmt.Sprintf(`{"cmd":"NODE_SOCKET_ALL_CLOSED","key":%s}`, quote(key)))
}

func quote(key string) []byte {
	text, _ := json.Marshal(key) // a string always has a spelling
	return text
}
