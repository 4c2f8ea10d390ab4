// Package ipc is the channel between a parent and a child process that Node's
// child_process.fork makes: a connected pair of sockets that carries one JSON
// value per line, and with a line, if wanted, an open socket. It speaks Node's
// own wire protocol in both roles, so either end may be a real node.
//
// It does not speak Node's "advanced" serialization, and not Windows' pipes.
//
// In the order in which the files are best read: fork.go and parent.go make the
// channel; channel.go owns it; send.go and receive.go move messages, over
// socket.go, which has the system calls, lines.go, which cuts the stream, and inbox.go;
// handle.go receives sockets and flight.go sends them; internal.go acts on
// Node's own messages, answers.go and counts.go answer them; trace.go shows it.
package ipc

import (
	"errors"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

var (
	// ErrNotForked: no parent left a channel for this process.
	ErrNotForked = errors.New("not forked: NODE_CHANNEL_FD is not set")
	// ErrClosed: the channel was disconnected, by either side.
	ErrClosed = errors.New("channel closed")
	// ErrReserved: Node keeps objects whose cmd starts with NODE_ to itself;
	// its receiver would swallow such a message without a word.
	ErrReserved = errors.New(`messages with a cmd that starts with "NODE_" are reserved`)
	// ErrLineTooLong: a message is longer than Config.MaxLine.
	ErrLineTooLong = errors.New("line too long")
	// ErrInboxFull: more than Config.MaxInbox arrived, and nobody read it,
	// while the acknowledgement of a handle was awaited.
	ErrInboxFull = errors.New("inbox full")
	// ErrPeerNotReading: Node's own questions come faster than the peer reads
	// the answers.
	ErrPeerNotReading = errors.New("peer asks faster than it reads")
	// ErrHandleLost: a handle did not reach the receiver.
	ErrHandleLost = errors.New("handle lost")
	// ErrNotAHandle: only TCP, UDP and Unix stream sockets can be passed on.
	ErrNotAHandle = errors.New("not a socket that can be passed")
	// ErrNoHandle: the message has no handle of the wanted kind.
	ErrNoHandle = errors.New("message has no such handle")
)

// Config holds what may be set before a channel is made. The zero value is
// ready to use.
type Config struct {
	// MaxLine is the longest message sent or accepted, in bytes of JSON;
	// 0 means 64 MiB. A peer that goes beyond it is disconnected.
	MaxLine int
	// MaxInbox bounds what is read ahead, in bytes of memory, while a handle
	// awaits its acknowledgement; 0 means 64 MiB. A peer that goes beyond it
	// is disconnected. After that, and until somebody waits in Messages, a
	// quarter of it may be read ahead; else nothing is: it waits in the
	// kernel, and with it the sender.
	MaxInbox int
	// Cluster makes the messages of Node's cluster module, whose cmd is
	// NODE_CLUSTER, messages like all others: Messages yields them, and they can
	// be sent. Without it they are Node's own: ignored, and refused.
	Cluster bool
	// Trace, if set, is told every step and every line. It is called from
	// several goroutines, one at a time, and must not use the channel.
	Trace func(Event)
}

func (c Config) withDefaults() Config {
	const limit = 64 << 20
	if c.MaxLine == 0 {
		c.MaxLine = limit
	}
	if c.MaxInbox == 0 {
		c.MaxInbox = limit
	}
	return c
}

// asNode makes the codec as tolerant as Node's JSON.parse, and keeps the
// escapes of JSON that passes through: a lone surrogate has no other spelling.
var asNode = json.JoinOptions(
	jsontext.AllowDuplicateNames(true),
	jsontext.AllowInvalidUTF8(true),
	jsontext.PreserveRawStrings(true),
	jsonv1.MergeWithLegacySemantics(true), // into an any, the last of duplicate keys wins
)
