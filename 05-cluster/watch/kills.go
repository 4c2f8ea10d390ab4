package watch

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"strconv"
	"syscall"
	"time"

	"playing-with-processes/05-cluster/cluster"
)

// maxKills is how many workers a series may kill.
const maxKills = 1000

// kills is a series of kills, each after the previous victim has been replaced, and what became of
// the visits meanwhile.
type kills struct {
	Of      int    `json:"of"`
	Done    int    `json:"done"`
	Running bool   `json:"running"`
	Took    int64  `json:"took"` // milliseconds
	Totals  totals `json:"totals"`
}

// killMany begins a series.
func (p *Page) killMany(q url.Values) error {
	of, err := strconv.Atoi(q.Get("of"))
	if err != nil || of < 1 || of > maxKills {
		return badRequest(fmt.Sprintf("a series is 1 to %d kills", maxKills))
	}
	primary, err := p.ready()
	if err != nil {
		return err
	}
	p.mu.Lock()
	running := p.kills != nil && p.kills.Running
	if !running {
		p.kills = &kills{Of: of, Running: true}
	}
	p.mu.Unlock()
	if running {
		return busy("workers are being killed already")
	}
	p.history.mark("kills", fmt.Sprintf("for i in $(seq %d); do kill -9 $(pgrep -P %d | shuf -n 1); sleep 0.1; done",
		of, os.Getpid()))
	p.start(func() { p.runKills(primary, of) })
	return nil
}

// runKills kills the workers, until the last victim is replaced or the cluster is shut down.
func (p *Page) runKills(primary *cluster.Primary, of int) {
	begun, before, done, victim := time.Now(), p.handovers.totals(), 0, 0
	note := func(running bool) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.kills = &kills{of, done, running, time.Since(begun).Milliseconds(), p.handovers.totals().since(before)}
	}
	defer note(false)
	for primary.Size() > 0 {
		w := nextVictim(primary, victim)
		switch {
		case w == nil:
			time.Sleep(10 * time.Millisecond)
		case done == of:
			return
		default:
			victim = w.ID()
			w.Signal(syscall.SIGKILL)
			done++
			note(true)
		}
	}
}

// nextVictim returns any worker once all are listening and the last victim has ended; else nil.
func nextVictim(primary *cluster.Primary, last int) *cluster.Worker {
	status, workers := primary.QuickStatus(), primary.Workers()
	for _, w := range status.Workers {
		if w.ID == last || w.State != "listening" {
			return nil
		}
	}
	if len(status.Workers) < status.Size || len(workers) == 0 {
		return nil
	}
	return workers[rand.IntN(len(workers))]
}

// since returns what was counted since an earlier count.
func (t totals) since(earlier totals) totals {
	t.Answered -= earlier.Answered
	t.Returned -= earlier.Returned
	for i := range t.Failed {
		t.Failed[i] -= earlier.Failed[i]
	}
	return t
}
