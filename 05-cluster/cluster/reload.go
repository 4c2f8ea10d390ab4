package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// reload is one run of Reload.
type reload struct {
	primary *Primary
	since   int   // the workers above this number are new
	places  []int // those from before, whose workers are to be replaced
	began   time.Time
	spoiled chan struct{} // closed when there is something broken
	over    chan struct{} // closed at its end

	// The primary's mu guards these.
	replaced int
	complete bool  // nobody is left to be replaced
	broken   error // how a new worker has failed that had taken over
	err      error // valid when it is over,
	ended    time.Time
}

// Reload replaces all workers, one at a time, by what Settings.Command says now: a new
// program on disk is deployed by it. The new worker listens before the old one is asked to
// leave; the old one has left before the next is started.
//
// It stops at the first new worker that fails, wherever it comes from, or does not listen
// within Settings.ReadyTimeout, or when ctx ends: then the one that has not taken over yet
// is ended, or asked to leave, the old ones that are left serve on, and the error says why.
// A worker that has several servers listens when the first one does.
//
// One reload runs at a time. A call that finds one under way waits for its end, and for
// the next one, which serves all who wait.
func (p *Primary) Reload(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.reload // which may have started workers before what is on disk now came there
	for !p.reload.isOver() {
		running := p.reload
		p.mu.Unlock()
		select {
		case <-running.over:
		case <-ctx.Done():
		}
		p.mu.Lock()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if r := p.reload; r != before && r.isOver() && !r.calledOff() {
			return r.err // it has begun after this call
		}
	}
	switch {
	case p.closing:
		return ErrShutdown
	case ctx.Err() != nil:
		return ctx.Err()
	}
	r := &reload{
		primary: p, since: p.lastID, places: p.pool.Places(), began: time.Now(),
		spoiled: make(chan struct{}), over: make(chan struct{}),
	}
	p.reload = r
	p.running.Add(1) // Shutdown waits until its end has been told
	defer p.running.Done()
	p.tell(Reloading{})
	p.mu.Unlock()
	err := r.run(ctx)
	p.mu.Lock()
	r.err, r.ended = err, time.Now()
	close(r.over)
	p.tell(Reloaded{Replaced: r.replaced, Left: r.left(), Took: r.ended.Sub(r.began), Err: err})
	return err
}

func (r *reload) isOver() bool {
	if r == nil {
		return true
	}
	select {
	case <-r.over:
		return true
	default:
		return false
	}
}

// calledOff: it has not failed, but was not wanted any more by who had called it.
func (r *reload) calledOff() bool {
	return errors.Is(r.err, context.Canceled) || errors.Is(r.err, context.DeadlineExceeded) || errors.Is(r.err, ErrShutdown)
}

func (r *reload) run(ctx context.Context) error {
	for {
		candidate, err := r.start()
		if candidate == nil {
			return err
		}
		err = r.await(ctx, candidate)
		leaver, err := r.takeOver(candidate, err)
		if leaver != nil {
			select {
			case <-leaver.gone:
			case <-ctx.Done():
				err = cmp.Or(err, ctx.Err())
			}
		}
		if err != nil {
			return err
		}
	}
}

// start starts the next new worker, or returns nil if nobody is left to be replaced.
func (r *reload) start() (*Worker, error) {
	p := r.primary
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case r.broken != nil || r.complete:
		return nil, r.broken
	case p.closing:
		return nil, ErrShutdown
	case len(r.pending()) == 0:
		return nil, nil
	}
	w, err := p.fork()
	if err == nil {
		w.candidate = true
	}
	return w, err
}

// await waits until the new worker listens, or another one has failed.
func (r *reload) await(ctx context.Context, candidate *Worker) error {
	patience := r.primary.settings.ReadyTimeout
	select {
	case <-candidate.listening:
		return nil
	case <-r.spoiled:
		return nil
	case <-candidate.gone:
	case <-time.After(patience):
		r.primary.mu.Lock()
		candidate.kill(fmt.Sprintf("it did not listen within %v", patience))
		r.primary.mu.Unlock()
		<-candidate.gone
	case <-ctx.Done():
		return ctx.Err()
	}
	return errors.New(candidate.end.String())
}

// takeOver lets the new worker take the place of an old one, which it returns: that leaves
// now. If there is an error, or nobody left whose place could be taken, it is the new one
// that leaves.
func (r *reload) takeOver(candidate *Worker, err error) (leaver *Worker, _ error) {
	p := r.primary
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case r.broken != nil:
		err = r.broken
	case p.closing && (err == nil || candidate.leaving): // as all do
		err = ErrShutdown
	case err == nil && candidate.ended:
		err = errors.New(candidate.end.String())
	case err == nil && candidate.leaving:
		err = fmt.Errorf("%v did not stay", candidate)
	}
	pending := r.pending()
	if err != nil || len(pending) == 0 {
		candidate.leave()
		return candidate, err
	}
	candidate.candidate = false
	r.replaced++
	leaver = p.vacate(pending[0])
	r.complete = len(r.pending()) == 0 // though the end of all may come before that of the leaver
	return leaver, nil
}

// failure notes that a worker has failed. If it is a new one, the old ones shall stay.
func (r *reload) failure(w *Worker) {
	if !r.isOver() && w.id > r.since && r.broken == nil {
		r.broken = errors.New(w.end.String())
		close(r.spoiled)
	}
}

// pending are the places from before the reload that have no new worker which is ready.
func (r *reload) pending() []seat {
	return slices.DeleteFunc(r.primary.seats(), func(s seat) bool {
		isNew := s.worker != nil && s.worker.id > r.since && s.worker.ready
		return isNew || !slices.Contains(r.places, s.place)
	})
}

// left is how many workers are from before the reload.
func (r *reload) left() (n int) {
	for _, w := range r.primary.workers {
		if w.id <= r.since && !w.leaving {
			n++
		}
	}
	return n
}
