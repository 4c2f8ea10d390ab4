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

// Kills is a series of kills, each after the previous victim has been replaced, and what became of
// the visits meanwhile.
type Kills struct {
	Of      int    `json:"of"`
	Done    int    `json:"done"`
	Running bool   `json:"running"`
	Took    int64  `json:"took"` // milliseconds
	Totals  totals `json:"totals"`
}

func (k *Kills) clone() *Kills {
	if k == nil {
		return nil
	}
	clone := *k
	return &clone
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
		p.kills = &Kills{Of: of, Running: true}
	}
	kills := p.kills
	p.mu.Unlock()
	if running {
		return busy("workers are being killed already")
	}
	p.history.mark("kills", fmt.Sprintf("for i in $(seq %d); do kill -9 $(pgrep -P %d | shuf -n 1); sleep 0.1; done",
		of, os.Getpid()))
	p.start(func() { p.runKills(primary, kills) })
	return nil
}

// runKills kills the workers, until the cluster is shut down.
func (p *Page) runKills(primary *cluster.Primary, kills *Kills) {
	begun, before, victim := time.Now(), p.handovers.totals(), 0
	for done := 0; done < kills.Of && primary.Size() > 0; {
		w := nextVictim(primary, victim)
		if w == nil {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		victim = w.ID()
		w.Signal(syscall.SIGKILL)
		done++
		p.note(kills, Kills{Of: kills.Of, Done: done, Running: true, Took: time.Since(begun).Milliseconds(),
			Totals: p.handovers.totals().since(before)})
	}
	p.untilReplaced(primary, victim)
	last := *kills
	last.Running, last.Took, last.Totals = false, time.Since(begun).Milliseconds(), p.handovers.totals().since(before)
	p.note(kills, last)
}

// note changes what the page shows of the series.
func (p *Page) note(kills *Kills, now Kills) {
	p.mu.Lock()
	defer p.mu.Unlock()
	*kills = now
}

// untilReplaced waits until the last victim is replaced, or the cluster is shut down.
func (p *Page) untilReplaced(primary *cluster.Primary, victim int) {
	for primary.Size() > 0 && nextVictim(primary, victim) == nil {
		time.Sleep(10 * time.Millisecond)
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
