package cluster

import (
	"playing-with-processes/internal/ipc"
	"playing-with-processes/internal/restart"
	"playing-with-processes/internal/supervise"
)

// Names for the types of settings and events: a program outside this module cannot import
// the packages that declare them.
type (
	// RestartPolicy says how often failed workers are started again.
	RestartPolicy = restart.Policy
	// RestartState says whether failed workers are started again.
	RestartState = restart.State
	// TraceEvent is a line on a channel, or a step in its life.
	TraceEvent = ipc.Event
	// Message is a message that Messages yields.
	Message = ipc.Message
	// Kind is what kind of handle a message has.
	Kind = ipc.Kind
	// ExitStatus is how a process ended.
	ExitStatus = ipc.Exit
	// Reason is why a worker has ended that was not to end.
	Reason = supervise.Reason
)

// The kinds of handles.
const (
	NoHandle       = ipc.NoHandle
	KindListener   = ipc.KindListener
	KindConn       = ipc.KindConn
	KindPacketConn = ipc.KindPacketConn
)

// The states of restarts.
const (
	RestartsOn        = restart.On
	RestartsSuspended = restart.Suspended
	RestartsProbing   = restart.Probing
)

// The reasons of an exit.
const (
	ReasonExited     = supervise.ReasonExited
	ReasonCrashed    = supervise.ReasonCrashed
	ReasonKilled     = supervise.ReasonKilled
	ReasonNeverReady = supervise.ReasonNeverReady
)

// DefaultRestartPolicy returns the policy for a number of workers that a program may change
// and use as Settings.Restart.
func DefaultRestartPolicy(workers int) RestartPolicy { return restart.Default(workers) }
