package supervise

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"playing-with-processes/internal/restart"
)

// reload is one run of Reload.
type reload struct {
	supervisor *Supervisor
	since      int   // workers with a larger ID are new
	slots      []int // whose workers must be replaced
	began      time.Time
	newFailed  chan struct{} // closed when failure is set
	over       chan struct{} // closed at the end

	// The supervisor's lock guards these.
	candidate *Worker // the new worker that has not taken over yet, or nil
	replaced  int
	complete  bool  // every old worker has been replaced
	failure   error // why a new worker has failed that had taken over
	err       error // the result
	took      time.Duration
	state     string // see ReloadStatus
}

// Reload replaces all workers, one at a time, by what Config.Command returns now: it deploys
// a new program. The new worker, the candidate, is ready before an old one is asked to leave,
// and the old one has exited before the next candidate starts.
//
// Reload stops at the first new worker that fails or is not ready within ReadyTimeout, and
// when ctx ends. The candidate is killed or asked to leave, the old workers that remain go on
// serving, and the error says why.
//
// One reload runs at a time. A call during a reload waits for its end, and then for the next
// reload, which serves all waiting calls.
func (s *Supervisor) Reload(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.reload // it may have started workers from an older program
	for !s.reload.isOver() {
		running := s.reload
		s.mu.Unlock()
		select {
		case <-running.over:
		case <-ctx.Done():
		}
		s.mu.Lock()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if r := s.reload; r != before && r.isOver() && r.state != ReloadCanceled {
			return r.err // it began after this call
		}
	}
	switch {
	case s.closed:
		return ErrShutdown
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return s.runReload(ctx)
}

// runReload runs a reload. The caller holds s.mu, which is released meanwhile.
func (s *Supervisor) runReload(ctx context.Context) error {
	r := &reload{
		supervisor: s, since: s.lastID, slots: s.pool.Slots(), began: time.Now(),
		newFailed: make(chan struct{}), over: make(chan struct{}), state: ReloadRunning,
	}
	s.reload = r
	s.running.Add(1) // Wait waits for the event at the end
	defer s.running.Done()
	s.cfg.Notify(Reloading{})
	s.mu.Unlock()
	err := r.run(ctx)
	s.mu.Lock()
	r.err, r.took, r.state = err, time.Since(r.began), stateAfter(err)
	close(r.over)
	s.cfg.Notify(Reloaded{Replaced: r.replaced, Remaining: r.remaining(), Took: r.took, Err: err})
	return err
}

func stateAfter(err error) string {
	switch {
	case err == nil:
		return ReloadDone
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, ErrShutdown):
		return ReloadCanceled
	}
	return ReloadFailed
}

func (r *reload) run(ctx context.Context) error {
	for {
		candidate, err := r.start()
		if candidate == nil {
			return err
		}
		err = r.awaitReady(ctx, candidate)
		leaving, err := r.takeOver(candidate, err)
		if leaving != nil {
			select {
			case <-leaving.gone:
			case <-ctx.Done():
				err = cmp.Or(err, ctx.Err())
			}
		}
		if err != nil {
			return err
		}
	}
}

// start starts the next new worker, in the spare slot, for the slot that it will take over. It
// returns nil if there is no worker to replace.
func (r *reload) start() (*Worker, error) {
	s := r.supervisor
	s.mu.Lock()
	defer s.mu.Unlock()
	old := r.toReplace()
	switch {
	case r.failure != nil || r.complete:
		return nil, r.failure
	case s.closed:
		return nil, ErrShutdown
	case len(old) == 0:
		return nil, nil
	}
	s.pool.AddSpare()
	w, err := s.startFirst(restart.Spare, old[0].number)
	r.candidate = w
	return w, err
}

// awaitReady waits until the candidate is ready, or another new worker has failed.
func (r *reload) awaitReady(ctx context.Context, candidate *Worker) error {
	timeout := r.supervisor.cfg.ReadyTimeout
	select {
	case <-candidate.ready:
		return nil
	case <-r.newFailed:
		return nil
	case <-candidate.gone:
	case <-time.After(timeout):
		r.supervisor.mu.Lock()
		candidate.killUnready(fmt.Sprintf("not ready within %v", timeout))
		r.supervisor.mu.Unlock()
		<-candidate.gone
	case <-ctx.Done():
		return ctx.Err()
	}
	return errors.New(candidate.exited.String())
}

// takeOver lets the candidate take over its slot from an old worker, which it asks to leave and
// returns. If the candidate cannot, or the slot need not be replaced any more, it leaves instead.
func (r *reload) takeOver(candidate *Worker, notReady error) (leaving *Worker, err error) {
	s := r.supervisor
	s.mu.Lock()
	defer s.mu.Unlock()
	number, old := candidate.number, r.toReplace()
	i := slices.IndexFunc(old, func(s slot) bool { return s.number == number })
	r.candidate = nil
	if err := r.verdict(candidate, notReady); err != nil || i < 0 {
		if candidate.state < Leaving {
			s.removeSlot(candidate.slot)
		}
		return candidate, err
	}
	r.replaced++
	s.removeSlot(number)
	s.pool.UseSpare(number)
	candidate.slot = number
	s.claim(number)
	r.slots = slices.DeleteFunc(r.slots, func(s int) bool { return s == number })
	r.complete = len(r.toReplace()) == 0 // decided now: Close may come before the old worker's end
	return old[i].worker, nil
}

// verdict returns why the candidate cannot take over, or nil. The caller holds the lock, as
// for the methods below.
func (r *reload) verdict(candidate *Worker, notReady error) error {
	switch {
	case r.failure != nil:
		return r.failure
	// Close has ended the reload. A candidate that has failed before is still the reason.
	case r.supervisor.closed && (notReady == nil || candidate.state == Leaving || candidate.exited.Intended):
		return ErrShutdown
	case notReady != nil:
		return notReady
	case candidate.state == Gone:
		return errors.New(candidate.exited.String())
	case candidate.state == Leaving:
		return fmt.Errorf("%v did not stay", candidate)
	}
	return nil
}

func (r *reload) isCandidate(w *Worker) bool { return r != nil && r.candidate == w }

// noteFailure notes that a worker has failed. If it is a new one, the reload stops.
func (r *reload) noteFailure(w *Worker) {
	if !r.isOver() && w.id > r.since && r.failure == nil {
		r.failure = errors.New(w.exited.String())
		close(r.newFailed)
	}
}

// toReplace returns the slots from before the reload that have no new worker which is ready.
func (r *reload) toReplace() []slot {
	return slices.DeleteFunc(r.supervisor.slots(), func(s slot) bool {
		isNew := s.worker != nil && s.worker.id > r.since && isClosed(s.worker.ready)
		return isNew || !slices.Contains(r.slots, s.number)
	})
}

// remaining returns how many workers are from before the reload.
func (r *reload) remaining() (n int) {
	for _, w := range r.supervisor.workers {
		if w.id <= r.since && w.state < Leaving {
			n++
		}
	}
	return n
}

func (r *reload) isOver() bool { return r == nil || isClosed(r.over) }
