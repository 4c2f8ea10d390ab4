package restart

import "playing-with-processes/internal/ipc"

// Reason is why a worker has ended.
type Reason int

const (
	// Asked to: by a reload, a scale-down, or the end of everything.
	Asked Reason = iota
	// Exited with code 0, though nobody asked. Its place is as empty as after a
	// crash, and a program that does so each time would be a loop as hot.
	Exited
	// Crashed: exited with another code, as after a panic or an uncaught error.
	Crashed
	// Killed by a signal.
	Killed
	// NeverReady: ended before it could serve, or could not even be started.
	NeverReady
)

func (r Reason) String() string {
	return [...]string{"asked to", "exited", "crashed", "killed", "never ready"}[r]
}

// ReasonFor is the Reason of a worker that nobody had asked to end.
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
