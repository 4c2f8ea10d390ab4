package cluster

import (
	"encoding/json"
	"fmt"
	"net"
	"strconv"
)

// command marks all that primary and worker say to each other, so that neither side's
// user sees it.
const command = "NODE_CLUSTER"

// What a message is about. An answer has none.
const (
	actOnline     = "online"                // worker: I am here
	actQuery      = "queryServer"           // worker: let me listen there
	actListening  = "listening"             // worker: I do
	actClose      = "close"                 // worker: I don't any more
	actLeave      = "exitedAfterDisconnect" // worker: I am going to exit, and that is no failure
	actConnection = "newconn"               // primary: here is one
	actDisconnect = "disconnect"            // primary: leave
)

// message is any of them. What does not belong to its act is absent.
type message struct {
	Cmd   string `json:"cmd"`
	Act   string `json:"act,omitzero"`
	Seq   int64  `json:"seq"`
	Ack   *int64 `json:"ack,omitzero"` // the seq of what it answers, which may be 0
	Key   string `json:"key,omitzero"`
	Where *query `json:",embed"`
	// Data is what all servers of one port shall share. In an answer to a query there
	// must be some, if only null: a TLS server of Node would crash.
	Data json.RawMessage `json:"data,omitzero"`
	// Errno, in such an answer, is null or 0 if all is well. With 0 comes a socket; else
	// its connections will come, one by one.
	Errno    json.RawMessage `json:"errno,omitzero"`
	Sockname *sockname       `json:"sockname,omitzero"`
	Accepted *bool           `json:"accepted,omitzero"` // in the answer to a connection
	// Within, in milliseconds, is when the primary, which wants the worker to leave, loses
	// its patience. It is not in Node's protocol, and who does not know it ignores it.
	Within int64 `json:"within,omitzero"`
}

// query is where a worker wants to listen, or does.
type query struct {
	Index       int             `json:"index"` // if it does so more than once
	Address     *string         `json:"address"`
	Port        *int            `json:"port"`
	AddressType json.RawMessage `json:"addressType"` // 4, 6, -1 for a Unix socket, "udp4" or "udp6"
	FD          *int            `json:"fd,omitzero"`
	Flags       *int            `json:"flags,omitzero"`
	Backlog     json.RawMessage `json:"backlog,omitzero"` // a number, or false
	ReadableAll bool            `json:"readableAll,omitzero"`
	WritableAll bool            `json:"writableAll,omitzero"`
}

// Node's flags of a socket.
const (
	flagV6Only    = 1
	flagReuseAddr = 4 // of a UDP socket
)

// sockname is the address of a TCP socket in Node's words.
type sockname struct {
	Address string `json:"address"`
	Family  string `json:"family"`
	Port    int    `json:"port"`
}

var null = json.RawMessage("null")

// errno is the error in an answer, or 0.
func (m message) errno() (n int) {
	json.Unmarshal(m.Errno, &n)
	return n
}

// key names what is asked for. Workers that ask for the same get the same. Node's
// workers take any; these are Node's.
func (q query) key() string {
	address, port, fd := "null", "null", "undefined"
	if q.Address != nil {
		address = *q.Address
	}
	if q.Port != nil {
		port = strconv.Itoa(*q.Port)
	}
	if q.FD != nil {
		fd = strconv.Itoa(*q.FD)
	}
	return fmt.Sprintf("%s:%s:%s:%s:%d", address, port, q.kind(), fd, q.Index)
}

// kind is the address type without quotes.
func (q query) kind() string {
	var text string
	if json.Unmarshal(q.AddressType, &text) == nil && text != "" {
		return text
	}
	return string(q.AddressType)
}

// backlog is how many connections may wait.
func (q query) backlog() (n int) {
	const usual = 511 // of Node
	if json.Unmarshal(q.Backlog, &n) != nil || n <= 0 {
		return usual
	}
	return n
}

// String is the address that is asked for, for people: the worker may have written
// anything.
func (q query) String() string {
	const longest = 108 // of a Unix socket's path
	address := ""
	if q.Address != nil {
		address = *q.Address
	}
	if q.Port != nil && *q.Port >= 0 {
		address = net.JoinHostPort(address, strconv.Itoa(*q.Port))
	}
	quoted := strconv.Quote(address[:min(len(address), longest)])
	return quoted[1 : len(quoted)-1]
}
