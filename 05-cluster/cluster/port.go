package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
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

// scheduler is what a policy makes of one port. The caller has the primary's mu.
type scheduler interface {
	// join lets a worker have its share, and answers it.
	join(w *Worker, reply answer)
	// leave takes it out again. What it has not accepted comes back when it has ended.
	leave(w *Worker)
	// age counts the ticks without any worker, up to most.
	age(most int)
	// finish ends it in good order, and then calls the port's close.
	finish()
	// close ends it at once, before the socket is closed.
	close()
}

// port is what workers listen on, by asking for the same key. It is the primary's: that
// workers end does not close it.
type port struct {
	key string
	scheduler
	socket  socket
	data    json.RawMessage // what its workers share
	members map[*Worker]bool
	primary *Primary
}

// socket is a net.Listener or a net.PacketConn.
type socket interface {
	syscall.Conn
	Close() error
}

// port is the one that the worker asks for, opened if it is the first to do so.
func (p *Primary) port(w *Worker, q query) (*port, error) {
	pt := p.ports[q.key()]
	switch {
	case len(w.ports) >= maxPorts:
		return nil, unix.EMFILE
	case len(q.Data) > maxData:
		return nil, unix.E2BIG
	case pt == nil:
		socket, err := open(q)
		if err != nil {
			return nil, err
		}
		pt = &port{key: q.key(), socket: socket, members: map[*Worker]bool{}, primary: p}
		if _, ok := socket.(net.Listener); ok {
			pt.scheduler = policies[p.settings.Policy](p, pt)
		} else {
			pt.scheduler = newShared(p, pt)
		}
		p.ports[pt.key] = pt
	}
	if pt.data == nil && string(q.Data) != "null" {
		pt.data = q.Data // the first one's ticket keys open everybody's sessions
	}
	return pt, nil
}

func (pt *port) join(w *Worker, reply answer) {
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
		pt.scheduler.close()
		pt.socket.Close()
		pt.primary.conclude()
	}
}

// open opens what a worker asks for. The host is an address: a name would be looked up
// by the worker.
func open(q query) (socket, error) {
	if q.FD != nil && *q.FD >= 0 { // a descriptor of ours, which may be anything
		return nil, unix.ENOTSUP
	}
	if q.addressType() == "-1" {
		return openUnix(q)
	}
	host := ""
	if q.Address != nil {
		address, err := netip.ParseAddr(*q.Address)
		if err != nil {
			return nil, unix.EINVAL
		}
		host = address.String()
	}
	port := 0 // UDP may leave it out
	if q.Port != nil {
		port = *q.Port
	}
	network, address := networkOf(q, host), net.JoinHostPort(host, strconv.Itoa(port))
	config := net.ListenConfig{KeepAlive: -1} // whether to keep alive is the worker's choice
	switch network[:3] {
	case "tcp":
		return socketOf(config.Listen(context.Background(), network, address))
	case "udp":
		const reuseAddr = 4 // UV_UDP_REUSEADDR
		if q.Flags != nil && *q.Flags&reuseAddr != 0 {
			config.Control = reuse
		}
		return socketOf(config.ListenPacket(context.Background(), network, address))
	}
	return nil, unix.EINVAL
}

// networkOf is Go's name for the network. With tcp, Go would take IPv6 for 0.0.0.0, too.
func networkOf(q query, host string) string {
	const v6Only = 1
	only := q.Flags != nil && *q.Flags&v6Only != 0
	switch kind := q.addressType(); {
	case kind == "4" && host == "":
		return "tcp"
	case kind == "4", kind == "6" && only:
		return "tcp" + kind
	case kind == "6":
		return "tcp"
	case kind == "udp4", kind == "udp6" && only:
		return kind
	case kind == "udp6":
		return "udp"
	}
	return "???"
}

func openUnix(q query) (socket, error) {
	if q.Address == nil {
		return nil, unix.EINVAL
	}
	s, err := socketOf(net.Listen("unix", *q.Address))
	if errors.Is(err, unix.ENOENT) {
		return nil, unix.EACCES // as libuv says it
	}
	if err != nil {
		return nil, err
	}
	var more fs.FileMode
	if q.ReadableAll {
		more |= 0o444
	}
	if q.WritableAll {
		more |= 0o222
	}
	if more != 0 {
		var now fs.FileInfo
		if now, err = os.Stat(*q.Address); err == nil {
			err = os.Chmod(*q.Address, now.Mode()|more)
		}
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func socketOf(s any, err error) (socket, error) {
	if err != nil {
		return nil, err
	}
	return s.(socket), nil
}

func reuse(_, _ string, raw syscall.RawConn) (err error) {
	closed := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	})
	return errors.Join(closed, err)
}

// errnoOf is what a worker is told of an error.
func errnoOf(err error) (errno syscall.Errno) {
	if !errors.As(err, &errno) {
		return unix.EINVAL
	}
	return errno
}
