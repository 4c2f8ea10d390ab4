package supervise

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"playing-with-processes/internal/ipc"
)

// startTicks is how many parts ReadyTimeout is counted in.
const startTicks = 10

// noteUnreadable keeps the error for the first message of a starting worker that is not JSON:
// its runtime may speak another protocol, as Bun's cluster module does.
func (w *Worker) noteUnreadable(m ipc.Message, err error) {
	if isClosed(w.ready) {
		return
	}
	if err == nil {
		err = m.Valid()
	}
	if notJSON, ok := errors.AsType[*ipc.NotJSONError](err); ok {
		w.supervisor.mu.Lock()
		w.unreadable = cmp.Or[error](w.unreadable, notJSON)
		w.supervisor.mu.Unlock()
	}
}

// killUnready kills a worker that did not get ready. The caller holds the supervisor's lock.
func (w *Worker) killUnready(why string) {
	if w.unreadable != nil {
		why += fmt.Sprintf("; its message is %v", w.unreadable)
	}
	w.killBecause(why)
}

// watchStart kills a worker that stays in the state Starting for ReadyTimeout. It counts
// ticks, so that suspending this process expires no timeout. (A reload and the stop ladder
// begin with an order and last only seconds: they count real time.)
func (w *Worker) watchStart() {
	timeout := w.supervisor.cfg.ReadyTimeout
	tick := time.Tick(timeout / startTicks)
	for range startTicks {
		select {
		case <-w.startOver:
			return
		case <-tick:
		}
	}
	s := w.supervisor
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.state == Starting && !s.reload.isCandidate(w) { // a reload has its own timeout
		w.killUnready(fmt.Sprintf("still starting after %v", timeout))
	}
}
