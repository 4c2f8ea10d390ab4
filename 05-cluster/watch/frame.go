package watch

import (
	"encoding/json"
	"time"

	"playing-with-processes/05-cluster/cluster"
	"playing-with-processes/internal/demo"
)

const (
	// frameTime is the time from one frame to the next.
	frameTime = 100 * time.Millisecond
	// frozenAfter is how long a worker may leave a connection unaccepted before the page calls it
	// frozen or busy.
	frozenAfter = 300 * time.Millisecond
)

// frame is what the page shows. Only Moves is about the time since the last frame; all else is how
// things are, so a browser may miss frames. Times are milliseconds, and those of Now and Marks count
// from the start of the page.
type frame struct {
	Now      int64          `json:"now"`
	Primary  int            `json:"primary"` // the pid, or 0 while there is no cluster
	Address  string         `json:"address"`
	Policy   cluster.Policy `json:"policy"`
	Size     int            `json:"size"`
	Waiting  int            `json:"waiting"` // connections that no worker has
	Reload   string         `json:"reload"`  // its state, or "" before the first
	Workers  []worker       `json:"workers"`
	Moves    []move         `json:"moves"`
	Visitors visitorsState  `json:"visitors"`
	Rate     int            `json:"rate"` // answers in the last second
	Totals   totals         `json:"totals"`
	Kills    *kills         `json:"kills"` // the last series, or null
	Marks    []mark         `json:"marks"`
	Log      []string       `json:"log"`
}

// worker is a worker's card.
type worker struct {
	ID       int    `json:"id"`
	Slot     int    `json:"slot"` // or -1
	Pid      int    `json:"pid"`
	State    string `json:"state"`
	Accepted *int   `json:"accepted"` // or null: under none, the kernel hands connections out
	Pending  *int   `json:"pending"`
	Memory   int64  `json:"memory"` // in bytes, or 0 if it is not known
	Age      int64  `json:"age"`
	Frozen   bool   `json:"frozen"` // perhaps: it has left a connection unaccepted for a while
}

// play sends the frames until the page ends.
func (p *Page) play() {
	for ticker := time.NewTicker(frameTime); ; {
		select {
		case <-p.ctx.Done():
			ticker.Stop()
			return
		case <-ticker.C:
			moves := p.handovers.takeMoves()
			p.history.count(p.handovers.totals().Answered)
			if p.streams.watched() {
				f := p.frame()
				f.Moves = moves
				text, _ := json.Marshal(f) // nothing in it can fail
				p.streams.send(text)
			}
		}
	}
}

// frame returns how things are.
func (p *Page) frame() frame {
	f := frame{
		Workers:  []worker{},
		Visitors: p.visitors.state(),
		Totals:   p.handovers.totals(),
	}
	f.Now, f.Rate, f.Marks, f.Log = p.history.state()
	p.mu.Lock()
	primary, memory := p.primary, p.memory
	f.Address, f.Kills = demo.Reachable(p.address), p.kills
	p.mu.Unlock()
	if primary == nil {
		return f
	}
	status := primary.QuickStatus()
	f.Primary, f.Policy, f.Size, f.Waiting = status.Pid, status.Policy, status.Size, status.Waiting
	if status.Reload != nil {
		f.Reload = status.Reload.State
	}
	frozen := p.handovers.frozen()
	for _, w := range status.Workers {
		f.Workers = append(f.Workers, worker{
			ID: w.ID, Slot: w.Slot, Pid: w.Pid, State: w.State, Accepted: w.Accepted, Pending: w.Pending,
			Memory: memory[w.ID], Age: time.Since(w.Started).Milliseconds(), Frozen: frozen[w.ID],
		})
	}
	return f
}

// measure measures the workers' memory once a second while a browser is watching. That may take longer
// than a frame.
func (p *Page) measure() {
	for ticker := time.NewTicker(time.Second); ; {
		select {
		case <-p.ctx.Done():
			ticker.Stop()
			return
		case <-ticker.C:
			primary := p.cluster()
			if primary == nil || !p.streams.watched() {
				continue
			}
			memory := map[int]int64{}
			for _, w := range primary.Status().Workers {
				memory[w.ID] = w.Memory
			}
			p.mu.Lock()
			p.memory = memory
			p.mu.Unlock()
		}
	}
}
