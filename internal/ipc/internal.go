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

// internalMessage is a message of Node itself.
type internalMessage struct {
	cmd string
	msg jsontext.Value // of NODE_HANDLE: the user's message, nil if undefined
	key string         // of NODE_SOCKET_* and NODE_HANDLE: whose socket it is
}

// parseInternal tells whether a line is internal by Node's rule: an object
// whose cmd is a string that starts with NODE_ and goes on. A line that spells
// no NODE_, nor could in escapes, need not be parsed for that.
func parseInternal(line []byte) (internalMessage, bool) {
	if !bytes.Contains(line, []byte("NODE_")) && !bytes.Contains(line, []byte(`\u`)) {
		return internalMessage{}, false
	}
	return decodeInternal(line)
}

func decodeInternal(line []byte) (m internalMessage, ok bool) {
	// Raw, because a field of an unexpected type must not make it unreadable.
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

// text is the string that a JSON value is, or "".
func text(value jsontext.Value) string {
	if value.Kind() != '"' {
		return ""
	}
	unquoted, _ := jsontext.AppendUnquote(nil, value) // invalid UTF-8 becomes U+FFFD
	return string(unquoted)
}

// cmdCluster marks the messages that Config.Cluster is for.
const cmdCluster = "NODE_CLUSTER"

// parse is parseInternal, but those that Config.Cluster makes like others are not
// internal. As everybody writes them, they show in their first bytes.
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

// takeInternal acts on an internal message, and ignores what it does not know,
// as Node does.
func (c *Channel) takeInternal(line []byte, start int64, m internalMessage) {
	if m.cmd == "NODE_HANDLE" {
		c.takeHandle(line, start, m)
		return
	}
	c.traceLine("receive", line, -1)
	switch m.cmd {
	case "NODE_HANDLE_ACK":
		c.land(nil)
	case "NODE_HANDLE_NACK":
		c.land(ErrHandleLost)
	case "NODE_SOCKET_GET_COUNT":
		c.answerCount(m.key)
	case "NODE_SOCKET_NOTIFY_CLOSE":
		c.answerClose(m.key)
	}
}

// takeHandle acknowledges a handle and delivers it, or refuses it. For each
// line there must be one answer: Node dies of a second one.
func (c *Channel) takeHandle(line []byte, start int64, m internalMessage) {
	m = unwrap(m)
	fd := c.takePassed(start)
	c.traceLine("receive", line, fd)
	h, err := c.newHandle(fd, m)
	if err != nil {
		if fd >= 0 {
			discard(fd)
		}
		c.answer(lineNACK)
		c.deliver(item{err: fmt.Errorf("receive: %w: %w", ErrHandleLost, err)})
		return
	}
	c.answer(lineACK)
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

// unwrap undoes what Node does to a handle that it sends again after a NACK:
// the NODE_HANDLE becomes the message of another one, each time.
func unwrap(m internalMessage) internalMessage {
	const retries = 3
	for range retries {
		inner, ok := parseInternal(m.msg)
		if !ok || inner.cmd != "NODE_HANDLE" {
			break
		}
		m = inner
	}
	return m
}

// maxUndelivered is how many handles may lie in the inbox before further ones
// are refused: a peer must not be able to use up our descriptors.
const maxUndelivered = 256

// newHandle makes a handle of a descriptor. The type that the message gives is
// not trusted, nor needed.
func (c *Channel) newHandle(fd int, m internalMessage) (*handle, error) {
	if fd < 0 {
		return nil, errors.New("no descriptor came with it")
	}
	kind, _, err := kindOf(fd)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inbox.handles >= maxUndelivered {
		return nil, fmt.Errorf("%d wait to be taken already", maxUndelivered)
	}
	h := &handle{file: os.NewFile(uintptr(fd), kind), kind: kind}
	if m.key != "" && kind == kindSocket {
		h.gone = c.countSocket(m.key)
	}
	return h, nil
}
