package cluster

import (
	"cmp"
	"hash/maphash"
	"maps"
	"net/netip"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// Sticky: as RoundRobin, but all connections from one address go to one worker, until that
// goes, and then to one other. Clients of a Unix socket have no address, and so all of them
// go to one worker.
const Sticky Policy = "sticky"

func init() { policies[Sticky] = newSticky }

// maxLine is how many wait for their workers while another is idle: each is a descriptor
// of ours.
const maxLine = 256

// sticky knows which worker each address belongs to. It knows homes, of which each has
// many addresses: their number is bounded, whoever comes.
type sticky struct {
	members map[*Worker]bool // of the port
	seed    maphash.Seed
	owners  map[home]*Worker
	homes   map[*Worker]int // how many each owns
	waiting []arrival
}

type home uint16

// arrival is a connection, and where it belongs.
type arrival struct {
	conn *os.File
	home home
}

func newSticky(p *Primary, pt *port) scheduler {
	return newDispatcher(p, pt, &sticky{
		members: pt.members,
		seed:    maphash.MakeSeed(),
		owners:  map[home]*Worker{},
		homes:   map[*Worker]int{},
	})
}

func (s *sticky) enter(conn *os.File) {
	s.waiting = append(s.waiting, arrival{conn, s.home(client(conn))})
}

// match takes out the first whose worker is idle. If there is none, and too many wait, the
// first of all goes to somebody who is idle, for once: a worker that does not keep up with
// its own shall not hold up everybody.
func (s *sticky) match(idle []*Worker) (*os.File, *Worker) {
	for i, a := range s.waiting {
		if w := s.owner(a.home); slices.Contains(idle, w) {
			return s.take(i), w
		}
	}
	if len(s.waiting) > maxLine {
		return s.take(0), idle[0]
	}
	return nil, nil
}

func (s *sticky) take(i int) *os.File {
	conn := s.waiting[i].conn
	s.waiting = slices.Delete(s.waiting, i, i+1)
	return conn
}

func (s *sticky) home(client netip.Addr) home { return home(maphash.Comparable(s.seed, client)) }

// owner is the worker that a home belongs to. One that belongs to nobody is for the worker
// that has the fewest. So who joins gets newcomers only: nobody has to move.
func (s *sticky) owner(h home) *Worker {
	w := s.owners[h]
	if w == nil {
		w = slices.MinFunc(slices.Collect(maps.Keys(s.members)), func(a, b *Worker) int {
			return cmp.Or(cmp.Compare(s.homes[a], s.homes[b]), cmp.Compare(a.id, b.id))
		})
		s.owners[h] = w
		s.homes[w]++
	}
	return w
}

func (s *sticky) leave(w *Worker) {
	delete(s.homes, w)
	maps.DeleteFunc(s.owners, func(_ home, owner *Worker) bool { return owner == w })
}

func (s *sticky) len() int { return len(s.waiting) }

func (s *sticky) clear() (all []*os.File) {
	for _, a := range s.waiting {
		all = append(all, a.conn)
	}
	s.waiting = nil
	return all
}

// client is the address of who has connected, without the port: the same over IPv4,
// whether the socket is for both families or not.
func client(conn *os.File) (address netip.Addr) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return address
	}
	raw.Control(func(fd uintptr) {
		switch peer, _ := unix.Getpeername(int(fd)); peer := peer.(type) {
		case *unix.SockaddrInet4:
			address = netip.AddrFrom4(peer.Addr)
		case *unix.SockaddrInet6:
			address = netip.AddrFrom16(peer.Addr).Unmap()
		}
	})
	return address
}
