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
	"syscall"

	"golang.org/x/sys/unix"
)

// Policy is how the connections of a TCP or Unix socket get to the workers. UDP is
// always shared.
type Policy string

// policies are all there are. Each is in a file of its own, which puts it here.
var policies = map[Policy]func(*Primary, *port) scheduler{}

// Policies returns the names of all.
func Policies() []Policy { return slices.Sorted(maps.Keys(policies)) }

// scheduler is what a policy makes of one port, whose socket it owns. The caller has the
// primary's mu.
type scheduler interface {
	// join lets a worker have its share, and answers it.
	join(w *Worker, reply message)
	// leave takes it out again. What it has not accepted comes back when it has ended.
	leave(w *Worker)
	// finish lets in nobody any more, has those who wait served, and releases the port.
	finish()
	// turnAway resets the connections that wait, and tells how many.
	turnAway() int
	// queued is how many connections no worker has, as far as is known.
	queued() int
	// close closes the socket, and turns away who comes back.
	close()
}

// port is what workers listen on, by asking for the same key. It is the primary's: that
// workers end does not close it.
type port struct {
	primary   *Primary
	scheduler scheduler
	key       string
	fd        int             // the socket
	sockname  *sockname       // its address, or nil,
	address   string          // and for people
	path      string          // of a Unix socket,
	file      fs.FileInfo     // and what is there
	data      json.RawMessage // what its workers share
	members   map[*Worker]bool
	alone     int // ticks without a worker
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
		pt = p.newPort(q, fd)
	}
	if pt.data == nil && string(data) != "null" {
		pt.data = data // the first one's ticket keys open everybody's sessions
	}
	return pt, 0
}

func (p *Primary) newPort(q query, fd int) *port {
	pt := &port{primary: p, key: q.key(), fd: fd, sockname: socknameOf(fd), address: q.String(), members: map[*Worker]bool{}}
	if pt.sockname != nil {
		pt.address = net.JoinHostPort(pt.sockname.Address, strconv.Itoa(pt.sockname.Port))
	}
	policy := p.settings.Policy
	switch kind := q.kind(); {
	case kind == "-1":
		pt.path = *q.Address
		pt.file, _ = os.Lstat(pt.path) // there is none for an abstract one
	case strings.HasPrefix(kind, "udp"):
		policy = None
	}
	pt.scheduler = policies[policy](p, pt)
	p.ports[pt.key] = pt
	return pt
}

func (pt *port) join(w *Worker, reply message) {
	pt.members[w] = true
	pt.scheduler.join(w, reply)
}

func (pt *port) leave(w *Worker) {
	delete(pt.members, w)
	pt.scheduler.leave(w)
}

// age turns away who waits when there has been no worker for too long: the clients shall
// know. If there are workers, and none wants the port any more, it is released.
func (pt *port) age(most int) {
	if len(pt.members) > 0 {
		pt.alone = 0
		return
	}
	if pt.alone++; pt.alone < most {
		return
	}
	pt.alone = 0
	if pt.primary.served() {
		pt.release()
		return
	}
	pt.turnAway()
}

func (pt *port) turnAway() { pt.turnedAway(pt.scheduler.turnAway()) }

func (pt *port) turnedAway(n int) {
	if n > 0 {
		pt.primary.reset += n
		pt.primary.tell(TurnedAway{pt.address, n})
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
	pt.turnAway()
	pt.scheduler.close()
	pt.primary.conclude()
}
