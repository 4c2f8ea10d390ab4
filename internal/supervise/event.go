package supervise

import (
	"fmt"
	"time"

	"playing-with-processes/internal/cli"
	"playing-with-processes/internal/ipc"
	"playing-with-processes/internal/restart"
)

// Event is one of the types below. Its String is for people: a line, which may be followed
// by indented ones.
type Event interface{ String() string }

type (
	// Started: the worker's process has been started.
	Started struct{ Worker *Worker }
	// Ready: the worker serves.
	Ready struct {
		Worker *Worker
		Took   time.Duration // since its start
	}
	// RetireNotice: the worker asks to be replaced.
	RetireNotice struct{ Worker *Worker }
	// SlotTaken: the worker has its slot now, some time after its start.
	SlotTaken struct {
		Worker *Worker
		Slot   int
	}
	// Exited: the worker's process has ended.
	Exited struct {
		Worker *Worker
		Exit   ipc.Exit
		// Intended: the worker was asked to leave, or has said that it would.
		Intended bool
		Reason   Reason // of any other exit
		Why      string // why we have killed it, or its last error, or ""
	}
	// StartFailed: the worker that is due could not be started.
	StartFailed struct{ Err error }
	// RestartDelayed: a worker starts after a pause, because Worker has failed, or, if that
	// is nil, because it could not be started.
	RestartDelayed struct {
		Worker *Worker
		Pause  time.Duration
	}
	// Restarts: the restarts of failed workers are suspended, probed, or on again.
	Restarts struct {
		State      restart.State
		Why        string        // they are, or stay, suspended
		Next       time.Duration // until the probe starts, if they are suspended
		Serving    int           // workers that serve meanwhile
		FirstError string        // what the failures began with
	}
	// Reloading: the workers are being replaced, one at a time.
	Reloading struct{}
	// Reloaded: a reload has ended. If there is an Err, some workers remain as before.
	Reloaded struct {
		Replaced, Remaining int
		Took                time.Duration
		Err                 error
	}
	// Scaled: the number of workers was changed.
	Scaled struct{ From, To int }
)

func (e Started) String() string { return fmt.Sprintf("started %v", e.Worker) }
func (e Ready) String() string {
	return fmt.Sprintf("%v is ready, %v after its start", e.Worker, cli.FormatDuration(e.Took))
}
func (e RetireNotice) String() string {
	return fmt.Sprintf("%v asks to be replaced; it serves until its replacement is ready", e.Worker)
}
func (e SlotTaken) String() string   { return fmt.Sprintf("%v has slot %d now", e.Worker, e.Slot) }
func (e StartFailed) String() string { return fmt.Sprintf("cannot start a worker: %v", e.Err) }
func (e RestartDelayed) String() string {
	what := "the next attempt"
	if e.Worker != nil {
		what = fmt.Sprintf("the replacement of %v", e.Worker)
	}
	return fmt.Sprintf("%s starts in %s", what, cli.FormatDuration(e.Pause))
}

func (e Exited) String() string {
	how := e.Reason.String()
	switch {
	case e.Intended && e.Exit.Signal != 0:
		how = "was to leave, and was killed"
	case e.Intended:
		how = "has left"
	}
	text := fmt.Sprintf("%v %s (%v)", e.Worker, how, e.Exit)
	if e.Why != "" {
		text += ": " + e.Why
	}
	return text
}

func (e Restarts) String() string {
	switch e.State {
	case restart.Probing:
		return "the probe starts"
	case restart.On:
		return "restarts are on again"
	}
	text := fmt.Sprintf("%s; the next probe starts in %s", e.Why, cli.FormatDuration(e.Next))
	if e.Serving == 0 {
		text += "\n  no worker serves until then: connections wait"
	}
	return text + "\n  the first error was: " + e.FirstError
}

func (Reloading) String() string { return "reload: one worker at a time" }
func (e Reloaded) String() string {
	if e.Err == nil {
		return fmt.Sprintf("reload: all workers are new, after %v", cli.FormatDuration(e.Took))
	}
	return fmt.Sprintf("reload: stopped; %d replaced, %d as before: %v", e.Replaced, e.Remaining, e.Err)
}
func (e Scaled) String() string { return fmt.Sprintf("scale from %d to %d", e.From, e.To) }

// notifyRestarts notifies a change between on, suspended and probing. The first error is
// repeated each time, because the errors that follow from it would hide it.
func (s *Supervisor) notifyRestarts() {
	now := time.Now()
	state, before := s.pool.State(now), s.restarts
	if state == before {
		return
	}
	s.restarts = state
	e := Restarts{State: state, Serving: s.serving(), FirstError: s.firstErrors.Latest()}
	if state == restart.Suspended {
		e.Why = "restarts stay suspended: the probe has failed"
		if before == restart.On {
			e.Why = fmt.Sprintf("restarts are suspended: more than %d in %v", s.pool.Limit(), s.cfg.Restart.Period)
		}
	}
	if next, ok := s.pool.Next(now); ok {
		e.Next = next.Sub(now)
	}
	s.cfg.Notify(e)
}

// serving returns how many workers serve.
func (s *Supervisor) serving() (n int) {
	for _, w := range s.workers {
		if w.state == Serving || w.state == Retiring {
			n++
		}
	}
	return n
}
