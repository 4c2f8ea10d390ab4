package cluster

import (
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
)

// command marks every message of the protocol. Node hides such messages from user code.
const command = "NODE_CLUSTER"

// The acts of messages. A reply has none.
const (
	actOnline     = "online"                // from a worker: I have joined
	actQuery      = "queryServer"           // from a worker: let me listen at this address
	actListening  = "listening"             // from a worker: I listen there
	actLate       = "late"                  // from a worker: that server accepts a connection when its request begins; Node ignores it
	actClose      = "close"                 // from a worker: I have closed that server
	actLeave      = "exitedAfterDisconnect" // from a worker: I am going to exit, without a failure
	actConnection = "newconn"               // from the primary: here is a connection
	actDisconnect = "disconnect"            // from the primary: leave
	actSlot       = "slot"                  // from the primary: you have this slot now; Node ignores it
)

// message is any of them. Fields that its act does not use are absent.
type message struct {
	Cmd   string `json:"cmd"`
	Act   string `json:"act,omitzero"`
	Seq   int64  `json:"seq"`
	Ack   *int64 `json:"ack,omitzero"` // in a reply: the seq of its message, which may be 0
	Key   string `json:"key,omitzero"`
	Where *query `json:",embed"`
	// Data is shared by all servers of a port. The reply to a query must have it, even if
	// it is null: without it a TLS server of Node would crash.
	Data json.RawMessage `json:"data,omitzero"`
	// Errno, in the reply to a query, is null or 0 if there is no error. With 0 comes the
	// socket; with null the connections will come, one by one.
	Errno    json.RawMessage `json:"errno,omitzero"`
	Sockname *sockname       `json:"sockname,omitzero"`
	Accepted *bool           `json:"accepted,omitzero"` // in the reply to a connection
	// Within is how many milliseconds the worker has to leave. Node's protocol does not have
	// this field, and Node ignores it.
	Within int64 `json:"within,omitzero"`
	Slot   *int  `json:"slot,omitzero"`
}

// query is where a worker wants to listen, or listens.
type query struct {
	Index       int             `json:"index"` // counts its servers at the same address
	Address     *string         `json:"address"`
	Port        *int            `json:"port"`
	AddressType json.RawMessage `json:"addressType"` // 4, 6, -1 for a Unix socket, "udp4" or "udp6"
	FD          *int            `json:"fd,omitzero"`
	Flags       int             `json:"flags,omitzero"`
	Backlog     json.RawMessage `json:"backlog,omitzero"` // a number, or false
	ReadableAll bool            `json:"readableAll,omitzero"`
	WritableAll bool            `json:"writableAll,omitzero"`
}

// Node's flags of a socket.
const (
	flagV6Only    = 1 // which is the option's value
	flagReuseAddr = 4 // of a UDP socket
)

// sockname is the address of a TCP socket in Node's words.
type sockname struct {
	Address string `json:"address"`
	Family  string `json:"family"`
	Port    int    `json:"port"`
}

var null = json.RawMessage("null")

// errno returns the error number in a reply, or 0.
func (m message) errno() (n int) {
	json.Unmarshal(m.Errno, &n)
	return n
}

// errnoOf is an error number in a reply.
func errnoOf(errno syscall.Errno) json.RawMessage {
	return strconv.AppendInt(nil, -int64(errno), 10)
}

// key returns the name of what a worker asks for. Workers with the same key share it. Node's
// workers would accept any name; this is Node's own.
func (q query) key() string { return fmt.Sprintf("%s:%d", q.place(), q.Index) }

// place is the key without the index.
func (q query) place() string {
	address, port, fd := textOf(q.Address, "null"), textOf(q.Port, "null"), textOf(q.FD, "undefined")
	return fmt.Sprintf("%s:%s:%s:%s", address, port, q.kind(), fd)
}

// textOf returns the text of a field, or missing if the field is absent.
func textOf[T any](field *T, missing string) string {
	if field == nil {
		return missing
	}
	return fmt.Sprint(*field)
}

// kind returns the address type without quotes.
func (q query) kind() string { return strings.Trim(string(q.AddressType), `"`) }

// backlog returns how many connections may wait.
func (q query) backlog() (n int) {
	const nodeDefault = 511
	if json.Unmarshal(q.Backlog, &n) != nil || n <= 0 {
		return nodeDefault
	}
	return n
}

// String returns the address for people. It is quoted, because a worker may send anything.
func (q query) String() string {
	const longest = 108 // a Unix socket's path
	address := textOf(q.Address, "")
	if q.Port != nil && *q.Port >= 0 {
		address = net.JoinHostPort(address, strconv.Itoa(*q.Port))
	}
	quoted := strconv.Quote(address[:min(len(address), longest)])
	return quoted[1 : len(quoted)-1]
}
