// Package ipc is the channel between a parent and a child process that Node's
// child_process.fork makes: a connected pair of sockets that carries one JSON value per
// line and, with a line, an open socket. It speaks Node's own wire protocol in both
// roles, so either end may be a real node.
//
// It does not speak Node's "advanced" serialization, and it does not run on Windows.
//
// Read the files in this order: fork.go and parent.go make the channel, and channel.go
// owns it. reader.go and writer.go move messages, over socket.go, which makes the system
// calls, lines.go, which splits the stream, and inbox.go. internal.go recognizes Node's own
// messages. arrived.go receives handles, which handle.go gives to the program, and sent.go
// sends them; trysend.go sends without waiting. replies.go and counts.go reply to Node.
// trace.go shows it all.
package ipc

import (
	"errors"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

var (
	// ErrNotForked: no parent has left a channel for this process.
	ErrNotForked = errors.New("not forked: NODE_CHANNEL_FD is not set")
	// ErrClosed: one of the two sides has disconnected the channel.
	ErrClosed = errors.New("channel closed")
	// ErrReserved: Node reserves objects with a cmd that starts with NODE_, and its
	// receiver would drop such a message silently.
	ErrReserved = errors.New(`messages with a cmd that starts with "NODE_" are reserved`)
	// ErrLineTooLong: a message is longer than Config.MaxLine.
	ErrLineTooLong = errors.New("line too long")
	// ErrInboxFull: more than Config.MaxInbox had to be read ahead of Receive. Either a
	// handle awaited its acknowledgement, or a dead child has left so much. The rest of
	// the messages is lost.
	ErrInboxFull = errors.New("inbox full")
	// ErrSkipped: a message, or several in a row, did not fit into Config.MaxLine or
	// Config.MaxInbox, with Config.Skip.
	ErrSkipped = errors.New("message skipped")
	// ErrPeerNotReading: the peer sends Node's own queries faster than it reads the
	// replies.
	ErrPeerNotReading = errors.New("peer sends queries faster than it reads the replies")
	// ErrHandleLost: a handle did not reach the receiver.
	ErrHandleLost = errors.New("handle lost")
	// ErrNotAHandle: only TCP, UDP and Unix stream sockets can be sent.
	ErrNotAHandle = errors.New("not a socket that can be sent")
	// ErrNoHandle: the message has no handle of the wanted kind.
	ErrNoHandle = errors.New("message has no such handle")
)

// Config is what can be set before a channel is made. The zero value is ready to use.
type Config struct {
	// MaxLine is the longest message sent or received, in bytes of JSON; 0 means
	// 64 MiB. A peer that sends a longer one is disconnected, unless Skip is set.
	MaxLine int
	// MaxInbox bounds what the channel reads ahead, in bytes of memory; 0 means
	// 64 MiB. Receive documents when it reads ahead. A peer that sends more then is
	// disconnected, unless Skip is set.
	MaxInbox int
	// Skip skips messages instead of disconnecting the peer, and Receive returns ErrSkipped in
	// their place. Messages of the cluster module that fit into MaxLine are not skipped; a
	// peer that fills the inbox with them is disconnected.
	Skip bool
	// Cluster receives the messages of Node's cluster module, with the cmd NODE_CLUSTER,
	// among all others, and marks them, and sends a ClusterMessage. Otherwise they are
	// Node's own: Send refuses them, and the reader drops them.
	Cluster bool
	// LateACK acknowledges the handle of a cluster message not at once, but together with what
	// this process sends next, or before it reads the next message: a worker answers each
	// connection, and so a connection takes one system call less.
	LateACK bool
	// Poll waits for messages in Go's poller instead of in the kernel. A round trip takes half as
	// long again; but with several busy channels, as a primary has, a message takes less of the
	// CPU, and a channel that waits for messages needs no thread.
	Poll bool
	// Trace, if set, is called with every step and every line: from several
	// goroutines, but not concurrently. It must not use the channel.
	Trace func(Event)
}

// asNode makes the codec accept what Node's JSON.parse accepts, and keeps the escapes
// of JSON that is passed through: a lone surrogate cannot be written without one.
var asNode = json.JoinOptions(
	jsontext.AllowDuplicateNames(true),
	jsontext.AllowInvalidUTF8(true),
	jsontext.PreserveRawStrings(true),
	jsonv1.MergeWithLegacySemantics(true), // into an any, the last of duplicate keys wins
)
