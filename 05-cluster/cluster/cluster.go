// Package cluster is what Node's cluster module is: one primary, which has the ports,
// and workers, which have the connections. It speaks Node's own protocol in both roles,
// so either may be a real node: an unmodified Node server is a worker of a Go primary,
// and a Go worker listens through Node's primary.
//
// A worker's code is a server's code: [Listen] for net.Listen, [Serve] for http.Serve.
// Where no primary has forked the process, they do what those do.
//
// Read primary.go, worker.go and port.go, then the ways by which connections get to the
// workers: dispatch.go, in which the primary hands out each one, in turns.go or sticky.go
// to whom, and shared.go, in which it hands out the socket. reload.go and scale.go change
// who works. link.go, listen.go and serve.go are the worker's side, and message.go is what
// the two say to each other. event.go and status.go tell who looks on.
package cluster

import (
	"os"
	"strconv"
	"sync"
)

// uniqueID is the variable by which a primary gives a worker its number.
const uniqueID = "NODE_UNIQUE_ID"

// self is the way to this process's primary, or nil if it is a primary itself.
var self = sync.OnceValues(func() (*link, error) {
	id := os.Getenv(uniqueID)
	os.Unsetenv(uniqueID) // a grandchild is nobody's worker
	if id == "" {
		return nil, nil
	}
	return join()
})

// IsPrimary reports whether no primary has forked this process. Call it, or what else
// is here for workers, before anything is spawned: the first call takes the channel out
// of the environment and joins the cluster.
func IsPrimary() bool {
	l, err := self()
	return l == nil && err == nil
}

// environment is what makes a process the worker with this number.
func environment(id int) string { return uniqueID + "=" + strconv.Itoa(id) }
