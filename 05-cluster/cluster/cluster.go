// Package cluster is what Node's cluster module is: a primary that owns the ports, and workers
// that serve the connections. It speaks Node's own protocol in both roles: an unmodified Node
// server is a worker of a Go primary, and a Go worker listens through Node's primary.
//
// A worker is an ordinary server, with [Listen] for net.Listen and [Serve] for http.Serve.
// In a process that no primary has forked, they do what those two do.
//
// This is the way of one connection through the primary:
//
//	dispatcher.dispatch     accepts it, and has the picker choose a worker
//	Worker.sendPending      sends it to that worker: now it is pending
//	Worker.handleMessage    reads the worker's answer, for connAnswered
//	dispatcher.accepted     counts it, and gives the worker the next, or
//	dispatcher.refuse       queues the connection again
//	Worker.exited           if the worker dies first: dispatcher.requeue, or abandon
//
// So read port.go, dispatcher.go, taker.go, listensocket.go, roundrobin.go, pending.go, outgoing.go
// and worker.go. sticky.go and shared.go are the two other policies. primary.go connects all this
// to package supervise, which keeps the workers running; settings.go has the numbers. protocol.go
// has the messages between primary and worker, and socket.go opens what a worker asks for.
// client.go, registration.go, listen.go, listener.go, late.go and serve.go are the worker's side.
// messages.go, and send.go on the worker's side, carry the program's own messages, through
// mailbox.go. event.go and status.go report what happens, and types.go names what other programs
// need.
package cluster

import (
	"fmt"
	"os"
	"strconv"
	"sync"
)

// The variables of a worker. Settings documents them.
const (
	uniqueID         = "NODE_UNIQUE_ID"
	slotVariable     = "CLUSTER_SLOT"
	instanceVariable = "NODE_APP_INSTANCE"
)

// self returns the connection to this process's primary, or nil if no primary has forked it.
var self = sync.OnceValues(func() (*primaryConn, error) {
	id := os.Getenv(uniqueID)
	os.Unsetenv(uniqueID) // a grandchild is not a worker
	if id == "" {
		return nil, nil
	}
	number, err := strconv.Atoi(id)
	if err != nil {
		return nil, fmt.Errorf("%s=%q is not a number", uniqueID, id)
	}
	return connect(number)
})

// slotAtStart returns the slot that this worker had when it was started.
func slotAtStart() int {
	slot, err := strconv.Atoi(os.Getenv(slotVariable))
	os.Unsetenv(slotVariable) // a grandchild does not have it
	if err != nil {
		return NoSlot
	}
	return slot
}

// IsPrimary reports whether no primary has forked this process. Call it, or another function
// for workers, before this process starts another one: the first call removes the channel
// from the environment and joins the cluster.
func IsPrimary() bool {
	conn, err := self()
	return conn == nil && err == nil
}
