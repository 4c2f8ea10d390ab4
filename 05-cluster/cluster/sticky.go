package cluster

import (
	"cmp"
	"hash/maphash"
	"maps"
	"net/netip"
	"slices"
)

// maxQueue is how many connections wait for their own workers while another worker is idle:
// each is a descriptor of ours.
const maxQueue = 256

// sticky is the picker of Sticky. Addresses hash into 65,536 buckets, which bounds its
// memory, and each bucket belongs to a worker.
type sticky struct {
	workers map[*Worker]bool // of the port
	seed    maphash.Seed
	owners  map[bucket]*Worker
	buckets map[*Worker]int // how many each worker owns
	queue   []queuedConn
}

type bucket uint16

// queuedConn is a connection with the bucket of its client.
type queuedConn struct {
	conn   connFD
	bucket bucket
}

func newSticky(workers map[*Worker]bool) *sticky {
	return &sticky{
		workers: workers,
		seed:    maphash.MakeSeed(),
		owners:  map[bucket]*Worker{},
		buckets: map[*Worker]int{},
	}
}

func (s *sticky) push(conn connFD) {
	s.queue = append(s.queue, queuedConn{conn, s.bucketOf(conn.peer().Addr())})
}

func (s *sticky) bucketOf(client netip.Addr) bucket {
	return bucket(maphash.Comparable(s.seed, client))
}

// pick removes the first connection for a worker that is idle, or that has refused: then another
// worker gets it, for once. If there is none, and too many wait, the first of all goes to an idle
// worker: one slow worker must not stop the port.
func (s *sticky) pick(idle, refused []*Worker) (connFD, *Worker) {
	for i, c := range s.queue {
		w := s.owner(c.bucket)
		if slices.Contains(refused, w) {
			w = idle[0]
		}
		if slices.Contains(idle, w) {
			return s.take(i), w
		}
	}
	if len(s.queue) > maxQueue {
		return s.take(0), idle[0]
	}
	return noConn, nil
}

func (s *sticky) take(i int) connFD {
	conn := s.queue[i].conn
	s.queue = slices.Delete(s.queue, i, i+1)
	return conn
}

// owner returns the worker of a bucket. A bucket without an owner goes to the worker that owns
// the fewest, so a new worker gets new addresses only, and no client moves.
func (s *sticky) owner(b bucket) *Worker {
	w := s.owners[b]
	if w == nil {
		w = slices.MinFunc(slices.Collect(maps.Keys(s.workers)), func(a, b *Worker) int {
			return cmp.Or(cmp.Compare(s.buckets[a], s.buckets[b]), cmp.Compare(a.ID(), b.ID()))
		})
		s.owners[b] = w
		s.buckets[w]++
	}
	return w
}

func (*sticky) add(*Worker) {} // it has no clients yet

func (s *sticky) remove(w *Worker) {
	delete(s.buckets, w)
	maps.DeleteFunc(s.owners, func(_ bucket, owner *Worker) bool { return owner == w })
}

func (s *sticky) len() int { return len(s.queue) }

func (s *sticky) clear() (all []connFD) {
	for _, c := range s.queue {
		all = append(all, c.conn)
	}
	s.queue = nil
	return all
}
