package cluster

import "net/netip"

// A Handover is a step of a connection between the primary and a worker. There are none under None,
// because the primary sees no connection there.
type Handover struct {
	Step   HandoverStep
	Worker *Worker        // nil if no worker had it
	Client netip.AddrPort // of a TCP connection; invalid for Reset if the client has gone
}

// HandoverStep is what has happened to a connection.
type HandoverStep int

// The steps. A connection is given, and then accepted, or given to another worker.
const (
	Given    HandoverStep = iota // it is on its way to the worker
	Accepted                     // it is the worker's
	Refused                      // the worker had no room: it is queued again
	Returned                     // the worker has ended and had not accepted it: it is queued again
	Reset                        // no worker could have it, or it is unknown whether its dead worker had
)

// String returns the constant's name in lower case.
func (s HandoverStep) String() string {
	return [...]string{"given", "accepted", "refused", "returned", "reset"}[s]
}

// observe reports a step. The caller holds p.mu, as for clientOf.
func (p *Primary) observe(step HandoverStep, w *Worker, client netip.AddrPort) {
	if p.settings.Handover != nil {
		p.settings.Handover(Handover{step, w, client})
	}
}

// clientOf returns the client's address of a connection, if it will be needed: later, when the
// client may have gone, the kernel does not know it.
func (p *Primary) clientOf(conn connFD) (client netip.AddrPort) {
	if p.settings.Handover != nil {
		client = conn.peer()
	}
	return client
}
