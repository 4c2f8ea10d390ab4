package ipc

import (
	"bytes"
	"fmt"
	"strings"
	"time"
	"unicode"
)

// Event is a step in the life of a channel, or a line on it.
type Event struct {
	Time time.Time
	// What is "send" or "receive" for a line, or the name of a step: "socketpair",
	// "start", "parent", "end", "disconnect", "exit".
	What string
	// Text describes the step, or the meaning of one of Node's own lines.
	Text string
	// Line is the line without its newline. It is valid during the call.
	Line []byte
	// FD is the descriptor sent with the line, or -1.
	FD int
}

// meanings explains Node's own lines.
var meanings = map[string]string{
	"NODE_HANDLE":              "the message in msg, with a socket",
	"NODE_HANDLE_ACK":          "the socket has arrived",
	"NODE_HANDLE_NACK":         "the socket has not arrived",
	"NODE_SOCKET_GET_COUNT":    "how many connections of this server are open?",
	"NODE_SOCKET_COUNT":        "the number of open connections",
	"NODE_SOCKET_NOTIFY_CLOSE": "reply when the last of them is closed",
	"NODE_SOCKET_ALL_CLOSED":   "the last is closed",
}

func (c *Channel) step(what, format string, args ...any) {
	if c.cfg.Trace != nil {
		c.trace(Event{Time: time.Now(), What: what, Text: fmt.Sprintf(format, args...), FD: -1})
	}
}

// traceLines traces complete lines that are sent in one piece.
func (c *Channel) traceLines(what string, out []byte, fd int) {
	if c.cfg.Trace != nil {
		for line := range bytes.Lines(out) {
			c.traceLine(what, bytes.TrimSuffix(line, []byte("\n")), fd)
		}
	}
}

func (c *Channel) traceLine(what string, line []byte, fd int) {
	if c.cfg.Trace != nil {
		c.trace(lineEvent(what, line, fd))
	}
}

func lineEvent(what string, line []byte, fd int) Event {
	m, _ := parseInternal(line)
	return Event{Time: time.Now(), What: what, Text: meanings[m.cmd], Line: line, FD: fd}
}

func (c *Channel) trace(e Event) {
	c.tracing.Lock()
	defer c.tracing.Unlock()
	c.cfg.Trace(e)
}

// String returns the event as one line for people. It cuts long lines, and replaces
// characters that are not printable.
func (e Event) String() string {
	text := e.Text
	if e.What == "send" || e.What == "receive" {
		text = e.line()
	}
	return fmt.Sprintf("%s %-10s %s", e.Time.Format("15:04:05.000000"), e.What, text)
}

func (e Event) line() string {
	const shown = 200
	text := fmt.Sprintf("%d bytes  %s", len(e.Line)+1, strings.Map(printable, string(e.Line[:min(len(e.Line), shown)])))
	if len(e.Line) > shown {
		text += "…"
	}
	text += `\n`
	if e.FD >= 0 {
		text += fmt.Sprintf("  + descriptor %d", e.FD)
	}
	if e.Text != "" {
		text += "  (" + e.Text + ")"
	}
	return text
}

func printable(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return unicode.ReplacementChar
}
