package cluster

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"playing-with-processes/internal/restart"
)

// Size is how many workers there shall be.
func (p *Primary) Size() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.size()
}

func (p *Primary) size() int {
	if p.closing {
		return 0
	}
	return len(p.seats())
}

// Scale changes the number of workers. Those that are too many leave: first those that do
// not listen, then the oldest. It does not wait, neither for them nor for the new ones. If
// one cannot be started the error says so, and there are as many as there are.
func (p *Primary) Scale(n int) (err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closing:
		return ErrShutdown
	case n < 0:
		return fmt.Errorf("%d workers: there cannot be less than none", n)
	}
	before := len(p.seats())
	for i := before; i < n && err == nil; i++ {
		_, err = p.fork()
	}
	for len(p.seats()) > n {
		p.vacate(p.seats()[0])
	}
	if now := len(p.seats()); now != before {
		p.tell(Scaled{From: before, To: now})
	}
	if err != nil {
		p.tell(Failed{err})
	}
	return err
}

// seat is a place for a worker, with that, or with nil if it is to be started.
type seat struct {
	place  int
	worker *Worker
}

// seats are all places but that of the worker that a reload tries: first those of workers
// that are to be started, then of those that do not listen yet, and then the oldest. The
// caller has p.mu.
func (p *Primary) seats() (seats []seat) {
	taken := map[int]*Worker{}
	for _, w := range p.workers {
		taken[w.place] = w
	}
	for _, place := range p.pool.Places() {
		if w := taken[place]; w == nil || !w.candidate {
			seats = append(seats, seat{place, w})
		}
	}
	slices.SortStableFunc(seats, func(a, b seat) int { return cmp.Compare(a.rank(), b.rank()) })
	return seats
}

// rank is higher for those who are missed more.
func (s seat) rank() int {
	switch {
	case s.worker == nil:
		return -1
	case !s.worker.ready:
		return 0
	}
	return s.worker.id
}

// vacate gives up a place: its worker, which it returns, is asked to leave, or is not
// started. The caller has p.mu.
func (p *Primary) vacate(s seat) *Worker {
	if s.worker != nil {
		s.worker.leave()
	} else {
		p.pool.Ended(s.place, restart.Asked, time.Now())
		p.replace()
	}
	return s.worker
}
