package cluster

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Policy is how the connections of a TCP or Unix socket get to the workers. UDP is
// always shared.
type Policy string

const (
	// RoundRobin: the primary accepts, and gives each connection to an idle worker, in
	// turn. Node's SCHED_RR.
	RoundRobin Policy = "rr"
	// None: the workers have the socket, and race for each connection. Node's
	// SCHED_NONE.
	None Policy = "none"
)

// policies are all there are. To add one is to add a file, and a line here.
var policies = map[Policy]func(*Primary, *port) scheduler{
	RoundRobin: newDispatcher,
	None:       newShared,
}

// Policies returns the names of all.
func Policies() []Policy { return slices.Sorted(maps.Keys(policies)) }

// scheduler is what a policy makes of one port, whose socket it owns. The caller has the
// primary's mu.
type scheduler interface {
	// join lets a worker have its share, and answers it.
	join(w *Worker, reply message)
	// leave takes it out again. What it has not accepted comes back when it has ended.
	leave(w *Worker)
	// age counts the ticks without any worker, up to most.
	age(most int)
	// finish ends it in good order, and then calls the port's close.
	finish()
	// close ends it at once, and closes the socket.
	close()
}

// port is what workers listen on, by asking for the same key. It is the primary's: that
// workers end does not close it.
type port struct {
	key string
	scheduler
	fd      int             // the socket
	unix    string          // its path, if it has one
	data    json.RawMessage // what its workers share
	members map[*Worker]bool
	primary *Primary
}

// port is the one that the worker asks for, opened if it is the first to do so.
func (p *Primary) port(w *Worker, q query, data json.RawMessage) (*port, syscall.Errno) {
	pt := p.ports[q.key()]
	switch {
	case len(w.ports) >= maxPorts:
		return nil, unix.EMFILE
	case len(data) > maxData:
		return nil, unix.E2BIG
	case pt == nil:
		fd, err := open(q)
		if err != 0 {
			return nil, err
		}
		pt = &port{key: q.key(), fd: fd, members: map[*Worker]bool{}, primary: p}
		policy := p.settings.Policy
		switch kind := q.kind(); {
		case kind == "-1":
			pt.unix = *q.Address
		case strings.HasPrefix(kind, "udp"):
			policy = None
		}
		pt.scheduler = policies[policy](p, pt)
		p.ports[pt.key] = pt
	}
	if pt.data == nil && string(data) != "null" {
		pt.data = data // the first one's ticket keys open everybody's sessions
	}
	return pt, 0
}

func (pt *port) join(w *Worker, reply message) {
	pt.members[w] = true
	pt.scheduler.join(w, reply)
}

func (pt *port) leave(w *Worker) {
	delete(pt.members, w)
	pt.scheduler.leave(w)
}

func (pt *port) close() {
	if pt.primary.ports[pt.key] == pt {
		delete(pt.primary.ports, pt.key)
		if pt.unix != "" {
			os.Remove(pt.unix)
		}
		pt.scheduler.close()
		pt.primary.conclude()
	}
}
