package cluster

import (
	"encoding/json"
	"io/fs"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Policy is how connections get to the workers. UDP sockets are always shared.
type Policy string

const (
	// RoundRobin: the primary accepts, and gives each connection to the idle worker that had
	// the fewest or, if none is idle, to one with few that it has not accepted. It is Node's
	// SCHED_RR.
	RoundRobin Policy = "rr"
	// None, Node's SCHED_NONE: the workers share the socket and race for connections.
	None Policy = "none"
	// Sticky: like RoundRobin, but all connections from one address go to one worker until
	// that worker leaves, and then to one other. Clients of a Unix socket have no address,
	// so all of them go to one worker. A connection that the worker refuses goes to another.
	Sticky Policy = "sticky"
)

// Policies returns all policies.
func Policies() []Policy { return []Policy{None, RoundRobin, Sticky} }

// scheduler is a policy for one port. It owns the socket. Callers hold the primary's mu.
type scheduler interface {
	// addWorker answers a worker's query, and gives it its share of the connections.
	addWorker(w *Worker, reply message)
	// acceptsLate notes that the worker accepts a connection when its request begins.
	acceptsLate(w *Worker)
	// removeWorker gives it no more. Unaccepted connections come back when it ends.
	removeWorker(w *Worker)
	// finish accepts no more, has the queued connections served, and releases the port.
	finish()
	// rejectAll resets the queued connections, and returns how many there were.
	rejectAll() int
	// queued returns how many connections no worker has, as far as that is known.
	queued() int
	// close closes the socket. Connections that come back later are rejected.
	close()
}

func newScheduler(policy Policy, pt *port) scheduler {
	switch policy {
	case None:
		return shared{pt, os.NewFile(uintptr(pt.fd), pt.key)}
	case Sticky:
		return newDispatcher(pt, newSticky(pt.workers), 1)
	default: // RoundRobin
		return newDispatcher(pt, &roundRobin{shares: map[*Worker]share{}}, pt.primary.settings.MaxPending)
	}
}

// port is what the workers that ask for the same key listen on. It belongs to the primary:
// the end of a worker does not close it.
type port struct {
	primary   *Primary
	scheduler scheduler
	key       string
	place     string          // its key without the index
	fd        int             // the socket
	sockname  *sockname       // its address for the protocol, or nil
	address   string          // its address for people
	path      string          // of a Unix socket
	file      fs.FileInfo     // what is at the path
	data      json.RawMessage // what its workers share
	workers   map[*Worker]bool
	unused    int // ticks without a worker
}

// port returns the port that the worker asks for. The first query for it opens it.
func (p *Primary) port(w *Worker, q query, data json.RawMessage) (*port, error) {
	pt := p.portFor(w, q)
	switch {
	case len(w.ports) >= maxPorts:
		return nil, unix.EMFILE
	case len(data) > maxData:
		return nil, unix.E2BIG
	case pt == nil:
		policy := p.policyFor(q)
		fd, err := openSocket(q, policy)
		if err != nil {
			return nil, err
		}
		pt = p.newPort(q, fd, policy)
	}
	if pt.data == nil && string(data) != "null" {
		pt.data = data // with the first worker's ticket keys, all workers resume TLS sessions
	}
	return pt, nil
}

// portFor returns the open port that a query is for, or nil. If the query says which port, the
// worker may get another one at the same address that it does not have: like Node since 22.23,
// it shares a port with workers that have counted their queries differently, because some
// failed.
func (p *Primary) portFor(w *Worker, q query) *port {
	if pt := p.ports[q.key()]; pt != nil && w.ports[pt.key] == nil {
		return pt
	}
	if q.Port != nil && *q.Port == 0 {
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(p.ports)) {
		if pt := p.ports[key]; pt.place == q.place() && w.ports[key] == nil {
			return pt
		}
	}
	return nil
}

// policyFor returns the policy for the socket that a query is for.
func (p *Primary) policyFor(q query) Policy {
	if strings.HasPrefix(q.kind(), "udp") {
		return None
	}
	return p.settings.Policy
}

func (p *Primary) newPort(q query, fd int, policy Policy) *port {
	for p.ports[q.key()] != nil {
		q.Index++
	}
	pt := &port{
		primary:  p,
		key:      q.key(),
		place:    q.place(),
		fd:       fd,
		sockname: socknameOf(fd),
		address:  q.String(),
		workers:  map[*Worker]bool{},
	}
	if pt.sockname != nil {
		pt.address = net.JoinHostPort(pt.sockname.Address, strconv.Itoa(pt.sockname.Port))
	}
	if q.kind() == "-1" {
		pt.path = *q.Address
		pt.file, _ = os.Lstat(pt.path) // an abstract socket has no file
	}
	pt.scheduler = newScheduler(policy, pt)
	p.ports[pt.key] = pt
	return pt
}

func (pt *port) addWorker(w *Worker, reply message) {
	pt.workers[w] = true
	pt.scheduler.addWorker(w, reply)
}

func (pt *port) removeWorker(w *Worker) {
	delete(pt.workers, w)
	pt.scheduler.removeWorker(w)
}

// tick counts ticks without a worker. After too many, the port is released if other ports have
// workers; otherwise its queued connections are rejected, so that their clients know.
func (pt *port) tick(most int) {
	if len(pt.workers) > 0 {
		pt.unused = 0
		return
	}
	if pt.unused++; pt.unused < most {
		return
	}
	pt.unused = 0
	for _, other := range pt.primary.ports {
		if len(other.workers) > 0 {
			pt.release()
			return
		}
	}
	pt.rejectAll()
}

func (pt *port) rejectAll() { pt.rejected(pt.scheduler.rejectAll()) }

// rejected counts and reports connections that were reset.
func (pt *port) rejected(n int) {
	if n > 0 {
		pt.primary.reset += n
		pt.primary.report(Rejected{pt.address, n})
	}
}

// release closes the port.
func (pt *port) release() {
	if pt.primary.ports[pt.key] != pt {
		return
	}
	delete(pt.primary.ports, pt.key)
	if now, err := os.Lstat(pt.path); err == nil && os.SameFile(now, pt.file) {
		os.Remove(pt.path)
	}
	pt.rejectAll()
	pt.scheduler.close()
	pt.primary.finishShutdown()
}
