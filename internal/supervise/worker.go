package supervise

import (
	"cmp"
	"context"
	"fmt"
	"syscall"
	"time"
)

// FreeMessages that we have not waited for cost their sender a millisecond: a worker that
// floods its channel is slowed down, and one that sends a lot hardly notices.
const FreeMessages = 64

// startTicks is how many parts ReadyTimeout is counted in.
const startTicks = 10

// State is what a worker is doing. The states of a worker only get larger, and it may skip
// some:
//
//	Starting ─ Online ─ Serving ─┬─ Disconnected ─┬─ Leaving ─ Gone
//	                             └─── Retiring ───┘
//
// Retiring is larger than Disconnected: a worker that has asked to be replaced may close its
// channel, and its end is still intended.
type State int

const (
	Starting     State = iota // its process runs
	Online                    // its program runs: Worker.Online
	Serving                   // it serves: Worker.Ready
	Disconnected              // its channel has ended, though it was not to leave
	Retiring                  // it serves until its replacement is ready: Worker.Retire
	Leaving                   // it was asked to leave, or leaves by itself
	Gone                      // its process has ended
)

// Worker is a worker process, from its start to its end.
type Worker struct {
	*Process
	Value any // for the caller, see Config.Command

	id         int
	restarts   int // of failed workers in its slot, including its own start
	supervisor *Supervisor
	started    chan struct{} // closed when the state is not Starting any more
	ready      chan struct{} // closed by Ready
	gone       chan struct{} // closed when the state is Gone

	// The supervisor's lock guards these.
	state           State
	slot            int    // or noSlot
	retireWhenReady bool   // Retire came before Ready
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
	unsolicited := 0
	for message, err := range w.Messages() {
		if err != nil || !w.supervisor.cfg.Message(w, message) {
			unsolicited++
		}
		message.Close()
		if unsolicited == FreeMessages {
			unsolicited = 0
			w.WaitTimeout(time.Millisecond)
		}
		last = err
	}
	return last
}

// watchStart kills a worker that stays in the state Starting for ReadyTimeout. It counts
// ticks, so that suspending this process expires no timeout.
func (w *Worker) watchStart() {
	timeout := w.supervisor.cfg.ReadyTimeout
	tick := time.Tick(timeout / startTicks)
	for range startTicks {
		select {
		case <-w.started:
			return
		case <-tick:
		}
	}
	s := w.supervisor
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.state == Starting && !s.reload.isCandidate(w) { // a reload has its own timeout
		w.kill(fmt.Sprintf("still starting after %v", timeout))
	}
}

// setState is enter for a caller without the lock.
func (w *Worker) setState(state State) {
	w.supervisor.mu.Lock()
	defer w.supervisor.mu.Unlock()
	w.enter(state)
}

// enter enters a larger state, and reports whether it did. The caller holds the supervisor's
// lock, as for retire, leave, startLeaving, kill and exitEvent.
func (w *Worker) enter(state State) bool {
	if w.state >= state {
		return false
	}
	if w.state == Starting {
		close(w.started)
	}
	w.state = state
	return true
}

// Online reports that the worker's program runs.
func (w *Worker) Online() { w.setState(Online) }

// Ready reports that the worker serves. The worker that it replaces is asked to leave.
func (w *Worker) Ready() {
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
		w.retire()
	}
	s.startDue() // the next start may be due earlier now
}

// Retire reports that the worker asks to be replaced. It serves until its replacement is
// ready, and is asked to leave then. Before it is Ready itself, that waits.
func (w *Worker) Retire() {
	s := w.supervisor
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.state < Serving {
		w.retireWhenReady = true
		return
	}
	w.retire()
}

func (w *Worker) retire() {
	if w.enter(Retiring) {
		s := w.supervisor
		s.pool.Retire(w.slot, time.Now())
		s.cfg.Notify(Retired{w})
		s.startDue()
	}
}

// RetireNow reports that the worker leaves by itself. It is replaced at once, and must exit
// within DrainTimeout.
func (w *Worker) RetireNow() {
	s := w.supervisor
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.state >= Retiring { // its replacement is due already
		return
	}
	slot := w.slot
	w.startLeaving(func(context.Context, *Worker) {})
	if s.reload.isCandidate(w) { // it has replaced no other worker yet
		s.pool.Remove(slot)
	} else {
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

// Kill kills the worker. Its exit says why.
func (w *Worker) Kill(why string) {
	w.supervisor.mu.Lock()
	defer w.supervisor.mu.Unlock()
	w.kill(why)
}

func (w *Worker) kill(why string) {
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
	w.exited = w.exitEvent()
	w.enter(Gone)
	close(w.gone)
	s.cfg.Notify(w.exited)
	switch {
	case w.exited.Intended:
	case s.reload.isCandidate(w):
		s.pool.Remove(w.slot)
	default:
		s.reload.noteFailure(w)
		s.failed(w.slot, w, w.exited.String())
	}
	s.startDue()
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
