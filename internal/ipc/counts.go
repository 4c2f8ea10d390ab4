package ipc

import (
	"encoding/json"
	"fmt"
)

// connCount counts the connections that a Node server has accepted and sent to us. Node
// asks for it in server.getConnections and server.close.
type connCount struct {
	open    int
	closing bool // the sender waits for the last of them
}

// countConn counts one more open connection of key, and returns the function to call
// when it is closed. The caller holds c.mu.
func (c *Channel) countConn(key string) (closed func()) {
	count := c.conns[key]
	count.open++
	c.conns[key] = count
	return func() { c.uncountConn(key) }
}

func (c *Channel) uncountConn(key string) {
	c.mu.Lock()
	count := c.conns[key]
	count.open--
	c.conns[key] = count
	last := count.open == 0
	if last {
		delete(c.conns, key)
	}
	c.mu.Unlock()
	if last && count.closing {
		c.replyAllClosed(key)
		c.flushReplies()
	}
}

// replyCount replies to Node's server.getConnections.
func (c *Channel) replyCount(key string) {
	c.mu.Lock()
	open := c.conns[key].open
	c.mu.Unlock()
	c.reply(fmt.Sprintf(`{"cmd":"NODE_SOCKET_COUNT","key":%s,"count":%d}`, quote(key), open))
}

// replyClosed replies to Node's server.close, now or when the last connection of key is
// closed.
func (c *Channel) replyClosed(key string) {
	c.mu.Lock()
	count, open := c.conns[key]
	if open {
		c.conns[key] = connCount{count.open, true}
	}
	c.mu.Unlock()
	if !open {
		c.replyAllClosed(key)
	}
}

func (c *Channel) replyAllClosed(key string) {
	c.reply(fmt.Sprintf(`{"cmd":"NODE_SOCKET_ALL_CLOSED","key":%s}`, quote(key)))
}

func quote(key string) []byte {
	text, _ := json.Marshal(key) // a string cannot fail
	return text
}
