package ipc

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// internalMessage is one of Node's own messages.
type internalMessage struct {
	cmd string
	msg jsontext.Value // of NODE_HANDLE: the user's message, nil if undefined
	key string         // of NODE_SOCKET_* and NODE_HANDLE: the server that accepted the socket
}

// parseInternal reports whether a line is internal by Node's rule: an object with a cmd
// that is a string, starts with NODE_ and is longer. A line that neither contains NODE_
// nor could spell it in escapes need not be parsed.
func parseInternal(line []byte) (m internalMessage, ok bool) {
	if !bytes.Contains(line, []byte("NODE_")) && !bytes.Contains(line, []byte(`\u`)) {
		return m, false
	}
	// Raw values, because a field of an unexpected type must not be an error.
	var fields struct {
		Cmd jsontext.Value `json:"cmd"`
		Msg jsontext.Value `json:"msg"`
		Key jsontext.Value `json:"key"`
	}
	if err := json.Unmarshal(line, &fields, asNode); err != nil {
		return m, false
	}
	m = internalMessage{cmd: text(fields.Cmd), msg: fields.Msg, key: text(fields.Key)}
	return m, strings.HasPrefix(m.cmd, "NODE_") && m.cmd != "NODE_"
}

// text returns the string that a JSON value is, or "". Invalid UTF-8 becomes U+FFFD.
func text(value jsontext.Value) string {
	unquoted, _ := jsontext.AppendUnquote(nil, value) // nothing if it is not a string
	return string(unquoted)
}

// cmdCluster marks the messages that Config.Cluster is about.
const cmdCluster = "NODE_CLUSTER"

// parse is parseInternal, except that with Config.Cluster a cluster's message is not
// internal. As Node and we write it, its first bytes tell, and parsing is not needed.
func (c *Channel) parse(line []byte) (internalMessage, bool) {
	if c.cfg.Cluster && bytes.HasPrefix(line, []byte(`{"cmd":"`+cmdCluster+`",`)) &&
		bytes.Count(line, []byte(`"cmd"`)) == 1 && !bytes.Contains(line, []byte(`\u`)) {
		return internalMessage{cmd: cmdCluster}, false
	}
	m, ok := parseInternal(line)
	return m, ok && !(c.cfg.Cluster && m.cmd == cmdCluster)
}

const (
	lineACK  = `{"cmd":"NODE_HANDLE_ACK"}`
	lineNACK = `{"cmd":"NODE_HANDLE_NACK"}`
)

// handleInternal acts on an internal message. Like Node, it ignores an unknown one.
func (c *Channel) handleInternal(line []byte, start int64, m internalMessage) {
	if m.cmd == "NODE_HANDLE" {
		c.receiveHandle(line, start, m)
		return
	}
	c.traceLine("receive", line, -1)
	switch m.cmd {
	case "NODE_HANDLE_ACK":
		c.acknowledge(nil)
	case "NODE_HANDLE_NACK":
		c.acknowledge(ErrHandleLost)
	case "NODE_SOCKET_GET_COUNT":
		c.replyCount(m.key)
	case "NODE_SOCKET_NOTIFY_CLOSE":
		c.replyClosed(m.key)
	}
}

// receiveHandle acknowledges a handle and delivers it, or refuses it. It sends exactly one
// answer for each line: a second one would crash Node.
func (c *Channel) receiveHandle(line []byte, start int64, m internalMessage) {
	m = unwrap(m)
	fd := c.takeArrived(start)
	c.traceLine("receive", line, fd)
	h, err := c.newHandle(fd, m)
	if err != nil {
		if fd >= 0 {
			discard(fd)
		}
		c.reply(lineNACK)
		c.deliver(item{err: fmt.Errorf("receive: %w: %w", ErrHandleLost, err)})
		return
	}
	c.reply(lineACK)
	msg := Message{Data: []byte(m.msg), handle: h}
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
func unwrap(m internalMessage) internalMessage {
	for range 3 { // Node's retries
		inner, ok := parseInternal(m.msg)
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
	h := &handle{file: os.NewFile(uintptr(fd), kind), kind: kind}
	if m.key != "" && kind == kindSocket {
		h.closed = c.countConn(m.key)
	}
	return h, nil
}
