package supervise

import (
	"cmp"
	"context"
	"syscall"
	"time"

	"playing-with-processes/internal/ipc"
)

// FreeMessages that we have not waited for cost their sender a millisecond: a worker that
// floods its channel is slowed down, and one that sends a lot hardly notices.
const FreeMessages = 64

// State is what a worker is doing. The states of a worker only get larger, and it may skip
// some. Retiring is larger than Disconnected: a worker that has asked to be replaced may close
// its channel, and its end is intended all the same.
type State int

const (
	Starting     State = iota // its process runs
	Online                    // its program runs: Worker.MarkOnline
	Serving                   // it serves: Worker.MarkReady
	Disconnected              // its channel has ended, though it was not to leave
	Retiring                  // it serves until its replacement is ready: Worker.MarkRetiring
	Leaving                   // it was asked to leave, or leaves by itself: Worker.MarkLeaving
	Gone                      // its process has ended
)

// Worker is a worker process, from its start to its end.
type Worker struct {
	*Process
	Value any // for the caller, see Config.Command

	id         int
	number     int  // of the slot that it is for
	first      bool // it had that slot at its start
	restarts   int  // of failed workers in its slot, including its own start
	supervisor *Supervisor
	startOver  chan struct{} // closed when the state Starting is over
	ready      chan struct{} // closed by MarkReady
	gone       chan struct{} // closed when the state is Gone

	// The supervisor's lock guards these.
	state           State
	slot            int    // or noSlot
	retireWhenReady bool   // MarkRetiring came before MarkReady
	told            bool   // it knows that it has its slot
	drained         bool   // it has finished its requests
	unreadable      error  // about the first message that was not JSON, or nil
	killedFor       string // why we have killed it, or ""
	exited          Exited // valid when the state is Gone
}

// ID returns the worker's number, which is never used again.
func (w *Worker) ID() int { return w.id }

func (w *Worker) String() string { return w.supervisor.cfg.Name(w) }

// State returns the state at this moment.
func (w *Worker) State() State {
	w.supervisor.mu.Lock()
	defer w.supervisor.mu.Unlock()
	return w.state
}

// run is the worker's goroutine: it handles all messages, and then the exit.
func (w *Worker) run() {
	cfg := w.supervisor.cfg
	cfg.Started(w)
	go w.watchStart()
	last := w.readLoop()
	w.setState(Disconnected)
	cfg.Disconnected(w, last)
	w.endDrained()
	// It may have closed only its channel, and still be serving its last requests.
	if !w.WaitTimeout(cfg.DrainTimeout) {
		w.Terminate()
	}
	if cfg.Exited != nil {
		cfg.Exited(w)
	}
	w.handleExit()
}

// readLoop handles the messages, and returns the last error of Messages.
func (w *Worker) readLoop() (last error) {
	cfg, unsolicited := w.supervisor.cfg, 0
	for message, err := range w.Messages() {
		if err != nil && cfg.Lost != nil {
			cfg.Lost(w, err)
		}
		if err != nil || !cfg.Message(w, message) {
			unsolicited++
		}
		w.noteUnreadable(message, err)
		message.Close()
		if unsolicited == FreeMessages {
			unsolicited = 0
			w.WaitTimeout(time.Millisecond)
		}
		last = err
	}
	return last
}

// endDrained ends a worker that was to leave, has disconnected, and runs on. As in Node, the end
// of its channel means that it has finished its requests, and only a timer or a database keeps
// it running.
func (w *Worker) endDrained() {
	if w.State() != Leaving || w.WaitTimeout(w.supervisor.cfg.ExitTimeout) {
		return
	}
	w.supervisor.mu.Lock()
	w.drained = true
	w.supervisor.mu.Unlock()
	w.Signal(syscall.SIGTERM)
}

// setState is enter for a caller without the lock.
func (w *Worker) setState(state State) {
	w.supervisor.mu.Lock()
	defer w.supervisor.mu.Unlock()
	w.enter(state)
}

// enter enters a larger state, and reports whether it did. The caller holds the supervisor's
// lock, as for markRetiring, leave, startLeaving, killBecause and exitEvent.
func (w *Worker) enter(state State) bool {
	if w.state >= state {
		return false
	}
	if w.state == Starting {
		close(w.startOver)
	}
	w.state = state
	return true
}

// MarkOnline reports that the worker's program runs.
func (w *Worker) MarkOnline() { w.setState(Online) }

// MarkReady reports that the worker serves. The worker that it replaces is asked to leave.
func (w *Worker) MarkReady() {
	s := w.supervisor
	s.mu.Lock()
	defer s.mu.Unlock()
	if !w.enter(Serving) {
		return
	}
	close(w.ready)
	s.pool.Ready(w.slot, time.Now())
	s.cfg.Notify(Ready{w, time.Since(w.ForkedAt)})
	time.AfterFunc(s.cfg.Restart.StableAfter, func() {
		if !isClosed(w.done) { // now it has proved stable
			w.Stderr.Release()
		}
	})
	for _, old := range s.workers {
		if old.slot == w.slot && old.state == Retiring {
			old.leave()
		}
	}
	if w.retireWhenReady {
		w.markRetiring()
	}
	s.startDue() // the next start may be due earlier now
}

// MarkRetiring reports that the worker asks to be replaced. It serves until its replacement is
// ready, and is asked to leave then. If it is not ready itself yet, the replacement waits
// until it is.
func (w *Worker) MarkRetiring() {
	s := w.supervisor
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.state < Serving {
		w.retireWhenReady = true
		return
	}
	w.markRetiring()
}

func (w *Worker) markRetiring() {
	if w.enter(Retiring) {
		s := w.supervisor
		s.pool.Retire(w.slot, time.Now())
		s.cfg.Notify(RetireNotice{w})
		s.startDue()
	}
}

// MarkLeaving reports that the worker leaves by itself. Its replacement is due now, and it must
// exit within DrainTimeout.
func (w *Worker) MarkLeaving() {
	s := w.supervisor
	s.mu.Lock()
	defer s.mu.Unlock()
	slot, before := w.slot, w.state
	w.startLeaving(func(context.Context, *Worker) {})
	switch {
	case before >= Retiring: // its replacement is due already
	case s.reload.isCandidate(w): // it has replaced no other worker yet
		s.pool.Remove(slot)
	default:
		s.pool.Retire(slot, time.Now())
	}
	s.startDue()
}

// Leave asks the worker to finish its requests and to exit. It has DrainTimeout for that, and
// nothing takes its place. Leave does not wait.
func (w *Worker) Leave() {
	s := w.supervisor
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.state < Leaving {
		s.removeSlot(w.slot)
	}
}

// leave asks the worker to leave, whatever happens to its slot.
func (w *Worker) leave() { w.startLeaving(w.supervisor.cfg.AskToLeave) }

// startLeaving starts the stop ladder, once.
func (w *Worker) startLeaving(ask func(context.Context, *Worker)) {
	if !w.enter(Leaving) {
		return
	}
	w.slot = noSlot
	go w.Stop(func(ctx context.Context) {
		w.Stderr.Release()
		ask(ctx, w)
	}, w.supervisor.cfg.DrainTimeout)
}

// KillBecause kills the worker and what it has started. Its Exited event says why.
func (w *Worker) KillBecause(why string) {
	w.supervisor.mu.Lock()
	defer w.supervisor.mu.Unlock()
	w.killBecause(why)
}

func (w *Worker) killBecause(why string) {
	if w.killedFor == "" {
		w.killedFor = why
		w.Signal(syscall.SIGKILL)
	}
}

// handleExit handles the end of the process. A worker that was not to leave has failed.
func (w *Worker) handleExit() {
	s := w.supervisor
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.workers, w.id)
	if s.owners[w.number] == w {
		delete(s.owners, w.number)
		s.claim(w.number)
	}
	w.exited = w.exitEvent()
	w.enter(Gone)
	close(w.gone)
	s.cfg.Notify(w.exited)
	switch {
	case w.exited.Intended:
		if !w.finished() {
			s.unfinished++
		}
	case s.reload.isCandidate(w):
		s.pool.Remove(w.slot)
	default:
		s.reload.noteFailure(w)
		s.failed(w.slot, w, w.exited.String())
	}
	s.startDue()
}

// finished reports whether a worker that was to leave has finished its requests.
func (w *Worker) finished() bool {
	return w.exited.Exit == (ipc.Exit{}) || w.drained && w.exited.Exit.Signal == syscall.SIGTERM
}

func (w *Worker) exitEvent() Exited {
	return Exited{
		Worker:   w,
		Exit:     w.Exit(),
		Intended: w.state >= Retiring,
		Reason:   reasonFor(isClosed(w.ready), w.Exit()),
		Why:      cmp.Or(w.killedFor, w.LastError()),
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
