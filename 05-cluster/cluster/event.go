package cluster

import (
	"fmt"
	"time"

	"playing-with-processes/internal/supervise"
)

// maxEvents is how many events wait for a slow reader, or for none.
const maxEvents = 1000

// Event is one of the types below. String returns a line, which indented ones may follow.
type Event interface{ String() string }

type (
	// Forked: the worker's process has been started.
	Forked struct{ Worker *Worker }
	// Online: the worker has joined the cluster.
	Online struct{ Worker *Worker }
	// Listening: the worker has a server, and gets connections.
	Listening struct {
		Worker  *Worker
		Address string // as the worker writes it, quoted if necessary
	}
	// Disconnect: the worker's channel has ended, and a loop over Messages has handled all that
	// the worker sent. As in Node, this may come after Exit.
	Disconnect struct {
		Worker          *Worker
		AfterDisconnect bool // as in Exit
	}
	// Exit: the worker's process has ended, after its channel.
	Exit struct {
		Worker *Worker
		Exit   ExitStatus
		// AfterDisconnect: it was asked to leave, or has said that it would.
		AfterDisconnect bool
		Reason          Reason // of any other exit
		// Why is why we have killed it, or its last error, or "".
		Why string
		// Returned is how many connections it had not accepted: other workers get them,
		// unless the port is closed.
		Returned int
	}
	// SlotTaken: the worker has its slot now, because the process before it has ended. There is
	// no such event for a worker that has its slot from its start.
	SlotTaken struct {
		Worker *Worker
		Slot   int
	}
	// MessageLost: a message of the worker was lost, for the first time. Err says why; later
	// ones are only counted, see WorkerStatus.
	MessageLost struct {
		Worker *Worker
		Err    error
	}
	// Rejected: connections were reset, because the port had no worker for
	// Settings.QueueTimeout, or was closed: by a shutdown, or by its last worker.
	Rejected struct {
		Address     string
		Connections int
	}

	// RestartDelayed: a worker starts after a pause, because Worker has failed, or, if that
	// is nil, because it could not be started.
	RestartDelayed struct {
		Worker *Worker
		Pause  time.Duration
	}

	// Failed: a replacement could not be started.
	Failed = supervise.StartFailed
	// Restarts of failed workers are suspended, probed, or on again.
	Restarts = supervise.Restarts
	// Reloading: the workers are being replaced, one at a time.
	Reloading = supervise.Reloading
	// Reloaded: a reload has ended.
	Reloaded = supervise.Reloaded
	// Scaled: the number of workers was changed.
	Scaled = supervise.Scaled
)

func (e Forked) String() string     { return fmt.Sprintf("%v is started", e.Worker) }
func (e Online) String() string     { return fmt.Sprintf("%v is online", e.Worker) }
func (e Listening) String() string  { return fmt.Sprintf("%v listens on %s", e.Worker, e.Address) }
func (e Disconnect) String() string { return fmt.Sprintf("%v: the channel has ended", e.Worker) }

func (e SlotTaken) String() string { return fmt.Sprintf("%v has slot %d now", e.Worker, e.Slot) }

func (e MessageLost) String() string {
	return fmt.Sprintf("%v: a message is lost: %v", e.Worker, e.Err)
}

func (e Exit) String() string {
	text := supervise.Exited{
		Worker: e.Worker.process, Exit: e.Exit, Intended: e.AfterDisconnect, Reason: e.Reason, Why: e.Why,
	}.String()
	if e.Returned > 0 {
		text += fmt.Sprintf("; connections back that it had not accepted: %d", e.Returned)
	}
	return text
}

func (e RestartDelayed) String() string {
	delayed := supervise.RestartDelayed{Pause: e.Pause}
	if e.Worker != nil {
		delayed.Worker = e.Worker.process
	}
	return delayed.String()
}

func (e Rejected) String() string {
	return fmt.Sprintf("no worker at %s; connections that were reset: %d", e.Address, e.Connections)
}

// Events returns what happens, in order. It holds 1000 events for a slow reader, and drops
// what comes then. Shutdown closes it.
func (p *Primary) Events() <-chan Event { return p.events }

// report adds an event.
func (p *Primary) report(e Event) {
	select {
	case p.events <- e:
	default:
	}
}

// notify translates the supervisor's events.
func (p *Primary) notify(e supervise.Event) {
	switch e := e.(type) {
	case supervise.Started:
		p.report(Forked{workerOf(e.Worker)})
	case supervise.Ready: // Listening says more
	case supervise.Exited:
		w := workerOf(e.Worker) // this is its goroutine, so reading returned is safe
		p.report(Exit{w, e.Exit, e.Intended, e.Reason, e.Why, w.returned})
	case supervise.SlotTaken:
		p.report(SlotTaken{workerOf(e.Worker), e.Slot})
	case supervise.RestartDelayed:
		delayed := RestartDelayed{Pause: e.Pause}
		if e.Worker != nil {
			delayed.Worker = workerOf(e.Worker)
		}
		p.report(delayed)
	default:
		p.report(e)
	}
}
