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

// header is what every message begins with. An answer repeats the Seq of what it
// answers, which may be 0, and has one of its own.
type header struct {
	Cmd string `json:"cmd"`
	Act string `json:"act,omitzero"`
	Seq int64  `json:"seq"`
	Ack *int64 `json:"ack,omitzero"`
}

// What the primary sends.
type (
	// answer is the one to a query: an error, or the leave to listen. With it comes the
	// socket, or nothing: then its connections will come, one by one.
	answer struct {
		header
		Errno    *int            `json:"errno"` // null and 0 are none
		Key      string          `json:"key"`
		Data     json.RawMessage `json:"data"` // never absent: a TLS server of Node would crash
		Sockname *sockname       `json:"sockname,omitzero"`
	}
	connection struct {
		header
		Key string `json:"key"`
	}
	disconnect struct {
		header
		// Within, in milliseconds, is when the primary loses its patience. It is not in
		// Node's protocol: who does not know it waits for as long as it likes.
		Within int64 `json:"within"`
	}
)

// What the worker sends.
type (
	query struct {
		header
		Index       int             `json:"index"`
		Data        json.RawMessage `json:"data"` // what all servers of one port shall share
		Address     *string         `json:"address"`
		Port        *int            `json:"port"`
		AddressType json.RawMessage `json:"addressType"`
		FD          *int            `json:"fd,omitzero"`
		Flags       *int            `json:"flags,omitzero"`
		Backlog     json.RawMessage `json:"backlog,omitzero"` // a number, or false
		ReadableAll bool            `json:"readableAll,omitzero"`
		WritableAll bool            `json:"writableAll,omitzero"`
	}
	goodbye struct {
		header
		Key string `json:"key"`
	}
	verdict struct {
		header
		Accepted *bool `json:"accepted"`
	}
)

// request is any message of a worker, and order any of a primary.
type (
	request struct {
		query
		Key      string `json:"key"`
		Accepted *bool  `json:"accepted"`
	}
	order struct {
		answer
		Within int64 `json:"within"`
	}
)

// sockname is the address of a TCP socket in Node's words.
type sockname struct {
	Address string `json:"address"`
	Family  string `json:"family"`
	Port    int    `json:"port"`
}

// key names what is asked for. Workers that ask for the same get the same. Node's
// workers take any; these are Node's.
func (q query) key() string {
	address, port, fd := "null", "null", "undefined"
	if q.Address != nil {
		address = *q.Address
	}
	if q.Port != nil {
		port = fmt.Sprint(*q.Port)
	}
	if q.FD != nil {
		fd = fmt.Sprint(*q.FD)
	}
	return fmt.Sprintf("%s:%s:%s:%s:%d", address, port, q.addressType(), fd, q.Index)
}

// addressType is 4, 6, -1 for a Unix socket, udp4 or udp6, and null for a descriptor.
func (q query) addressType() string {
	var text string
	if json.Unmarshal(q.AddressType, &text) == nil && text != "" {
		return text
	}
	return string(q.AddressType)
}

// backlog is how many connections may wait.
func (q query) backlog() int {
	n := 0
	if json.Unmarshal(q.Backlog, &n) != nil || n <= 0 {
		return defaultBacklog
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
