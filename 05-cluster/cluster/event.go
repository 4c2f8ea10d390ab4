package cluster

import (
	"fmt"
	"time"

	"playing-with-processes/internal/ipc"
	"playing-with-processes/internal/restart"
)

// maxEvents is how many wait for a reader that is slow, or is none.
const maxEvents = 1000

// Event is one of the types below. Its String is a line for people.
type Event interface{ String() string }

type (
	// Forked: the worker's process has been started.
	Forked struct{ Worker *Worker }
	// Online: it has joined the cluster.
	Online struct{ Worker *Worker }
	// Listening: it has a server, and is ready to be given connections.
	Listening struct {
		Worker  *Worker
		Address string // as the worker says; quoted, if it is odd
	}
	// Disconnect: its channel has ended.
	Disconnect struct{ Worker *Worker }
	// Exit: the process has ended, after its channel.
	Exit struct {
		Worker *Worker
		Exit   ipc.Exit
		// AfterDisconnect: it was told to leave, or had said that it would.
		AfterDisconnect bool
		Reason          restart.Reason
		// Why we have killed it, or what it has said last, or "".
		Why string
		// Returned is how many connections it had not accepted: others get them.
		Returned int
	}
	// Failed: a replacement could not be started.
	Failed struct{ Err error }
	// Restarts are suspended (restart.Open), tried (restart.HalfOpen), or go on
	// (restart.Closed).
	Restarts struct {
		Circuit    restart.Circuit
		Next       time.Duration // to the trial start, if they are suspended
		FirstError string        // what the trouble began with
	}
	// Reloading: the workers are being replaced, one at a time.
	Reloading struct{}
	// Reloaded: that is over. If there is an Err, so many are Left, and serve on.
	Reloaded struct {
		Replaced, Left int
		Took           time.Duration
		Err            error
	}
	// Scaled: there shall be another number of workers.
	Scaled struct{ From, To int }
	// TurnedAway: so many connections were reset, because there was no worker for
	// them for Settings.QueueTimeout, or until the end.
	TurnedAway struct {
		Address     string
		Connections int
	}
)

func (e Forked) String() string {
	return fmt.Sprintf("%v is started as pid %d", e.Worker, e.Worker.Pid())
}
func (e Online) String() string { return fmt.Sprintf("%v is online", e.Worker) }
func (e Listening) String() string {
	return fmt.Sprintf("%v listens on %s", e.Worker, e.Address)
}
func (e Disconnect) String() string { return fmt.Sprintf("%v: the channel has ended", e.Worker) }
func (e Failed) String() string     { return fmt.Sprintf("cannot start a worker: %v", e.Err) }
func (e TurnedAway) String() string {
	return fmt.Sprintf("nobody could serve them at %s: %d connections were reset", e.Address, e.Connections)
}

func (Reloading) String() string { return "reload: one worker at a time" }
func (e Scaled) String() string  { return fmt.Sprintf("scale from %d to %d", e.From, e.To) }
func (e Reloaded) String() string {
	if e.Err == nil {
		return fmt.Sprintf("reload: all are new, after %v", e.Took.Round(time.Millisecond))
	}
	return fmt.Sprintf("reload: given up, with %d replaced and %d as before: %v", e.Replaced, e.Left, e.Err)
}

func (e Exit) String() string {
	how := e.Reason.String()
	switch {
	case e.AfterDisconnect && e.Exit.Signal != 0:
		how = "was to leave, and was killed"
	case e.AfterDisconnect:
		how = "has left"
	}
	text := fmt.Sprintf("%v %s (%v)", e.Worker, how, e.Exit)
	if e.Why != "" {
		text += ": " + e.Why
	}
	switch e.Returned {
	case 0:
		return text
	case 1:
		return text + "; a connection that it had not accepted goes to another"
	}
	return fmt.Sprintf("%s; %d connections that it had not accepted go to others", text, e.Returned)
}

func (e Restarts) String() string {
	switch e.Circuit {
	case restart.Open:
		return fmt.Sprintf("restarts are suspended; in %.1fs there is a trial start. The first error was: %s",
			e.Next.Seconds(), e.FirstError)
	case restart.HalfOpen:
		return "now there is the trial start"
	}
	return "the trial start has held: back to normal"
}

// Events tells what happens, in order. A thousand wait for a slow reader; what comes
// then is dropped. It ends with Shutdown.
func (p *Primary) Events() <-chan Event { return p.events }

// tell is for who has p.mu.
func (p *Primary) tell(e Event) {
	if p.over {
		return
	}
	select {
	case p.events <- e:
	default:
	}
}

// tellCircuit tells when restarts are suspended, tried and resumed.
func (p *Primary) tellCircuit() {
	now := time.Now()
	circuit := p.pool.Circuit(now)
	if circuit == p.circuit {
		return
	}
	p.circuit = circuit
	e := Restarts{Circuit: circuit, FirstError: p.trouble.First()}
	if next, ok := p.pool.Next(now); ok {
		e.Next = next.Sub(now)
	}
	p.tell(e)
}
