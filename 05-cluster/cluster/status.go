package cluster

import (
	"cmp"
	"os"
	"slices"
	"time"

	"playing-with-processes/internal/restart"
	"playing-with-processes/internal/supervise"
)

// Status is what there is at one moment.
type Status struct {
	Pid    int    `json:"pid"`
	Policy Policy `json:"policy"`
	Size   int    `json:"size"` // how many workers there shall be
	// Replacing is what is done about failed workers: on, they are replaced; suspended;
	// trial, one replacement is tried; or off, at the end.
	Replacing string         `json:"replacing"`
	Waiting   int            `json:"waiting"` // connections that no worker has, at all ports
	Reset     int            `json:"reset"`   // connections that were ended because no worker could have them, ever
	Ports     []PortStatus   `json:"ports"`
	Workers   []WorkerStatus `json:"workers"`
	Reload    *ReloadStatus  `json:"reload"` // the last one, or null
}

// PortStatus is a port that the workers share.
type PortStatus struct {
	Address string `json:"address"`
	Workers int    `json:"workers"` // that listen on it
	// Waiting counts those who wait in the kernel, too, but for Unix sockets, and not on macOS.
	Waiting int `json:"waiting"`
}

// WorkerStatus is a worker that has not ended.
type WorkerStatus struct {
	ID  int `json:"id"`
	Pid int `json:"pid"`
	// State is starting; online, when it has joined the cluster; listening; leaving; or
	// disconnected, when it has no channel any more.
	State    string    `json:"state"`
	Started  time.Time `json:"started"`
	Restarts int       `json:"restarts"` // after failures, in its place; a reload begins anew
	// Connections it has accepted, and Offered those it has been given and has not
	// accepted. Under None they are null: the kernel hands them out.
	Connections *int  `json:"connections"`
	Offered     *int  `json:"offered"`
	Memory      int64 `json:"memory,omitzero"` // in bytes, where the kernel tells
}

// What a reload comes to. It is called off by the end of its context, or by Shutdown.
const (
	ReloadRunning   = "running"
	ReloadDone      = "done"
	ReloadFailed    = "failed"
	ReloadCalledOff = "called off"
)

// ReloadStatus is a reload.
type ReloadStatus struct {
	State    string    `json:"state"`
	Replaced int       `json:"replaced"`
	Left     int       `json:"left"` // workers from before it that are there
	Began    time.Time `json:"began"`
	Seconds  float64   `json:"seconds"`
	Error    string    `json:"error,omitzero"`
}

// Status tells how things are. The memory is measured, which may take a few milliseconds
// for each worker.
func (p *Primary) Status() Status {
	s := p.status()
	for i := range s.Workers {
		s.Workers[i].Memory = supervise.Memory(s.Workers[i].Pid)
	}
	return s
}

func (p *Primary) status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Status{
		Pid:       os.Getpid(),
		Policy:    p.settings.Policy,
		Size:      p.size(),
		Replacing: p.replacing(),
		Reset:     p.reset,
		Ports:     []PortStatus{},
		Workers:   []WorkerStatus{},
		Reload:    p.reload.status(),
	}
	for _, pt := range p.ports {
		port := PortStatus{pt.address, len(pt.members), pt.scheduler.queued()}
		s.Ports = append(s.Ports, port)
		s.Waiting += port.Waiting
	}
	slices.SortFunc(s.Ports, func(a, b PortStatus) int { return cmp.Compare(a.Address, b.Address) })
	for _, w := range p.workers {
		s.Workers = append(s.Workers, w.status())
	}
	slices.SortFunc(s.Workers, func(a, b WorkerStatus) int { return cmp.Compare(a.ID, b.ID) })
	return s
}

func (p *Primary) replacing() string {
	if p.closing {
		return "off"
	}
	return map[restart.Circuit]string{
		restart.Closed: "on", restart.Open: "suspended", restart.HalfOpen: "trial",
	}[p.pool.Circuit(time.Now())]
}

func (w *Worker) status() WorkerStatus {
	s := WorkerStatus{
		ID:       w.id,
		Pid:      w.Pid(),
		State:    w.state(),
		Started:  w.process.Started,
		Restarts: w.restarts,
	}
	if w.primary.settings.Policy != None {
		accepted, offered := w.accepted, len(w.flights)
		s.Connections, s.Offered = &accepted, &offered
	}
	return s
}

func (w *Worker) state() string {
	switch {
	case w.disconnected:
		return "disconnected"
	case w.leaving:
		return "leaving"
	case w.ready && len(w.ports) > 0:
		return "listening"
	case w.online:
		return "online"
	}
	return "starting"
}

func (r *reload) status() *ReloadStatus {
	if r == nil {
		return nil
	}
	s := &ReloadStatus{State: r.state(), Replaced: r.replaced, Left: r.left(), Began: r.began}
	if s.State == ReloadRunning {
		s.Seconds = time.Since(r.began).Seconds()
		return s
	}
	s.Seconds = r.ended.Sub(r.began).Seconds()
	if r.err != nil {
		s.Error = r.err.Error()
	}
	return s
}

func (r *reload) state() string {
	switch {
	case !r.isOver():
		return ReloadRunning
	case r.calledOff():
		return ReloadCalledOff
	case r.err != nil:
		return ReloadFailed
	}
	return ReloadDone
}
