package restart

import "playing-with-processes/internal/ipc"

// Reason is why a worker has ended.
type Reason int

const (
	// Asked to: by a reload, by scaling down, or by a shutdown.
	Asked Reason = iota
	// Exited with code 0, without being asked. Its slot is as empty as after a
	// crash, and a program that exits each time would make as hot a loop.
	Exited
	// Crashed: exited with another code, as after a panic or an uncaught error.
	Crashed
	// Killed by a signal.
	Killed
	// NeverReady: ended before it was ready, or could not be started.
	NeverReady
)

func (r Reason) String() string {
	return [...]string{"asked to", "exited", "crashed", "killed", "never ready"}[r]
}

// ReasonFor returns the Reason of a worker that was not asked to end.
func ReasonFor(ready bool, exit ipc.Exit) Reason {
	switch {
	case !ready:
		return NeverReady
	case exit.Signal != 0:
		return Killed
	case exit.Code != 0:
		return Crashed
	}
	return Exited
}
