package supervise

import "playing-with-processes/internal/ipc"

// Reason is why a worker has ended that was not to end.
type Reason int

const (
	ReasonExited     Reason = iota // with code 0
	ReasonCrashed                  // with another code, as after a panic or an uncaught error
	ReasonKilled                   // by a signal
	ReasonNeverReady               // in any way, before it was ready
)

func (r Reason) String() string {
	return [...]string{"exited", "crashed", "was killed", "was never ready"}[r]
}

func reasonFor(ready bool, exit ipc.Exit) Reason {
	switch {
	case !ready:
		return ReasonNeverReady
	case exit.Signal != 0:
		return ReasonKilled
	case exit.Code != 0:
		return ReasonCrashed
	}
	return ReasonExited
}
