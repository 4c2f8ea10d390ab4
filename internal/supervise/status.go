package supervise

import (
	"cmp"
	"slices"
	"time"

	"playing-with-processes/internal/restart"
)

// Status is a snapshot of a Supervisor.
type Status struct {
	Size     int // the number of workers that must run
	Closed   bool
	Restarts restart.State
	Workers  []WorkerStatus // oldest first
	Reload   *ReloadStatus  // the last one, or nil
}

// WorkerStatus is a snapshot of a worker.
type WorkerStatus struct {
	Worker   *Worker
	State    State
	Slot     int // or NoSlot, see Worker.Slot
	Restarts int // after failures, in its slot; a reload starts a new count
}

// The states of a reload. It is canceled by the end of its context, or by a shutdown.
const (
	ReloadRunning  = "running"
	ReloadDone     = "done"
	ReloadFailed   = "failed"
	ReloadCanceled = "canceled"
)

// ReloadStatus is a snapshot of a reload.
type ReloadStatus struct {
	State    string `json:"state"`
	Replaced int    `json:"replaced"`
	// Remaining workers are from before the reload.
	Remaining int       `json:"remaining"`
	Began     time.Time `json:"began"`
	Seconds   float64   `json:"seconds"`
	Error     string    `json:"error,omitzero"`
}

// Status returns a snapshot.
func (s *Supervisor) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := Status{
		Size:     s.size(),
		Closed:   s.closed,
		Restarts: s.pool.State(time.Now()),
		Reload:   s.reload.status(),
	}
	for _, w := range s.workers {
		status.Workers = append(status.Workers, WorkerStatus{w, w.state, w.owned(), w.restarts})
	}
	slices.SortFunc(status.Workers, func(a, b WorkerStatus) int { return cmp.Compare(a.Worker.id, b.Worker.id) })
	return status
}

func (r *reload) status() *ReloadStatus {
	if r == nil {
		return nil
	}
	status := &ReloadStatus{State: r.state, Replaced: r.replaced, Remaining: r.remaining(), Began: r.began, Seconds: r.took.Seconds()}
	switch {
	case r.state == ReloadRunning:
		status.Seconds = time.Since(r.began).Seconds()
	case r.err != nil:
		status.Error = r.err.Error()
	}
	return status
}
