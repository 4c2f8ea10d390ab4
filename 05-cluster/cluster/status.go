package cluster

import (
	"cmp"
	"os"
	"slices"
	"time"

	"playing-with-processes/internal/supervise"
)

// Status is a snapshot of a primary.
type Status struct {
	Pid    int    `json:"pid"`
	Policy Policy `json:"policy"`
	Size   int    `json:"size"` // the number of workers that must run
	// Restarting of failed workers is on, suspended, probing, or, in a shutdown, off.
	Restarting string         `json:"restarting"`
	Waiting    int            `json:"waiting"` // connections that no worker has, at all ports
	Reset      int            `json:"reset"`   // connections so far that the primary had to reset
	Ports      []PortStatus   `json:"ports"`
	Workers    []WorkerStatus `json:"workers"`
	Reload     *ReloadStatus  `json:"reload"` // the last one, or null
}

// PortStatus is a port that the workers share.
type PortStatus struct {
	Address string `json:"address"`
	Workers int    `json:"workers"` // that listen on it
	// Waiting counts connections in the primary and, on Linux and for TCP, in the kernel.
	Waiting int `json:"waiting"`
}

// WorkerStatus is a worker that has not ended.
type WorkerStatus struct {
	ID   int `json:"id"`
	Pid  int `json:"pid"`
	Slot int `json:"slot"` // or -1, see Worker.Slot
	// State is starting; online, when it has joined the cluster; listening; leaving; or
	// disconnected, when its channel has ended though it was not to leave.
	State    string    `json:"state"`
	Started  time.Time `json:"started"`
	Restarts int       `json:"restarts"` // after failures, in its slot; a reload starts a new count
	// Accepted and Pending are the connections that it has accepted, and was given and has
	// not accepted. Under None they are null, because the kernel hands connections out.
	Accepted *int `json:"accepted"`
	Pending  *int `json:"pending"`
	// LostMessages counts those that Messages does not yield, several in a row as one if they
	// did not fit into the inbox.
	LostMessages int   `json:"lostMessages"`
	Memory       int64 `json:"memory,omitzero"` // in bytes, on Linux
}

// ReloadStatus is a reload.
type ReloadStatus = supervise.ReloadStatus

// The states of a reload. It is canceled by the end of its context, or by Shutdown.
const (
	ReloadRunning  = supervise.ReloadRunning
	ReloadDone     = supervise.ReloadDone
	ReloadFailed   = supervise.ReloadFailed
	ReloadCanceled = supervise.ReloadCanceled
)

// Status returns a snapshot. It measures memory, which may take milliseconds for each worker.
func (p *Primary) Status() Status {
	s := p.QuickStatus()
	for i := range s.Workers {
		s.Workers[i].Memory = supervise.Memory(s.Workers[i].Pid)
	}
	return s
}

// QuickStatus is Status without the memory of the workers.
func (p *Primary) QuickStatus() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	supervised := p.supervisor.Status()
	s := Status{
		Pid:        os.Getpid(),
		Policy:     p.settings.Policy,
		Size:       supervised.Size,
		Restarting: supervised.Restarts.String(),
		Reset:      p.reset,
		Ports:      []PortStatus{},
		Workers:    []WorkerStatus{},
		Reload:     supervised.Reload,
	}
	if supervised.Closed {
		s.Restarting = "off"
	}
	for _, pt := range p.ports {
		port := PortStatus{pt.address, len(pt.workers), pt.scheduler.queued()}
		s.Ports = append(s.Ports, port)
		s.Waiting += port.Waiting
	}
	slices.SortFunc(s.Ports, func(a, b PortStatus) int { return cmp.Compare(a.Address, b.Address) })
	for _, w := range supervised.Workers {
		s.Workers = append(s.Workers, workerOf(w.Worker).status(w))
	}
	return s
}

func (w *Worker) status(supervised supervise.WorkerStatus) WorkerStatus {
	s := WorkerStatus{
		ID:       w.ID(),
		Pid:      w.Pid(),
		Slot:     supervised.Slot,
		State:    w.stateName(supervised.State),
		Started:  w.process.ForkedAt,
		Restarts: supervised.Restarts,

		LostMessages: w.lost,
	}
	if w.primary.settings.Policy != None {
		s.Accepted, s.Pending = new(w.accepted), new(len(w.pending))
	}
	return s
}

func (w *Worker) stateName(state supervise.State) string {
	switch {
	case state == supervise.Starting:
		return "starting"
	case state == supervise.Disconnected:
		return "disconnected"
	case state > supervise.Disconnected:
		return "leaving"
	case len(w.ports) > 0 && state == supervise.Serving:
		return "listening"
	}
	return "online"
}
