package supervise

import (
	"cmp"
	"fmt"
	"slices"
)

// Size returns the number of workers that must run: 0 after Close.
func (s *Supervisor) Size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size()
}

func (s *Supervisor) size() int {
	if s.closed {
		return 0
	}
	return len(s.slots())
}

// Scale changes the number of workers. If there are too many, those that do not serve leave
// first, and then those with the highest slots. Scale does not wait for workers to start or to
// leave. If one cannot be started, Scale returns the error, and the workers started so far stay.
func (s *Supervisor) Scale(n int) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return ErrShutdown
	case n < 0:
		return fmt.Errorf("%d workers: the number cannot be negative", n)
	}
	before := len(s.slots())
	if n != before {
		s.cfg.Notify(Scaled{From: before, To: n})
	}
	for i := before; i < n && err == nil; i++ {
		_, err = s.fork()
	}
	for len(s.slots()) > n {
		s.removeSlot(s.dispensable())
	}
	if err != nil {
		s.cfg.Notify(StartFailed{err})
		s.cfg.Notify(Scaled{From: n, To: len(s.slots())})
	}
	return err
}

// dispensable returns the slot that would be missed least.
func (s *Supervisor) dispensable() int {
	return slices.MaxFunc(s.slots(), func(a, b slot) int {
		return cmp.Or(-cmp.Compare(min(a.rank(), 1), min(b.rank(), 1)), cmp.Compare(a.number, b.number))
	}).number
}

// slot is a slot of the pool with its worker, or nil if that is to be started.
type slot struct {
	number int
	worker *Worker
}

// slots returns all slots but that of a reload's candidate: first those without a worker,
// then those whose worker is not ready, and then by age, oldest first.
func (s *Supervisor) slots() (slots []slot) {
	workers := map[int]*Worker{}
	for _, w := range s.workers {
		if old := workers[w.slot]; old == nil || old.state == Retiring {
			workers[w.slot] = w
		}
	}
	for _, number := range s.pool.Slots() {
		if w := workers[number]; w == nil || !s.reload.isCandidate(w) {
			slots = append(slots, slot{number, w})
		}
	}
	slices.SortStableFunc(slots, func(a, b slot) int { return cmp.Compare(a.rank(), b.rank()) })
	return slots
}

// rank is higher the more a slot's worker would be missed.
func (s slot) rank() int {
	switch {
	case s.worker == nil:
		return -1
	case !isClosed(s.worker.ready):
		return 0
	}
	return s.worker.id
}
