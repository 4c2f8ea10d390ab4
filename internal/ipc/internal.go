package ipc

import (
	"bytes"
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
	if string(line) == lineACK { // the most frequent of them
		return internalMessage{cmd: "NODE_HANDLE_ACK"}, true
	}
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

// isCluster reports whether a line is a message of the cluster module that Config.Cluster
// makes ordinary.
func (c *Channel) isCluster(line []byte) bool {
	m, internal := c.parse(line)
	return m.cmd == cmdCluster && !internal
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
