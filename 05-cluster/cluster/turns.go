package cluster

import (
	"cmp"
	"os"
	"slices"
)

// RoundRobin: the primary accepts, and gives each connection to an idle worker, in turn.
// Node's SCHED_RR.
const RoundRobin Policy = "rr"

func init() { policies[RoundRobin] = newTurns }

// turns is Node's round robin: who has waited longest is for whom is idle, and whose turn
// it is. That is the worker whose last turn was longest ago. Node takes who is idle for
// longest, and so gives more to who is quick.
type turns struct {
	waiting []*os.File
	last    map[*Worker]int // turns, by number
	number  int
}

func newTurns(p *Primary, pt *port) scheduler {
	return newDispatcher(p, pt, &turns{last: map[*Worker]int{}})
}

func (t *turns) enter(conn *os.File) { t.waiting = append(t.waiting, conn) }

func (t *turns) match(idle []*Worker) (conn *os.File, w *Worker) {
	if len(t.waiting) == 0 {
		return nil, nil
	}
	conn, t.waiting = t.waiting[0], t.waiting[1:]
	w = slices.MinFunc(idle, func(a, b *Worker) int { return cmp.Compare(t.last[a], t.last[b]) })
	t.number++
	t.last[w] = t.number
	return conn, w
}

func (t *turns) leave(w *Worker) { delete(t.last, w) }
func (t *turns) len() int        { return len(t.waiting) }

func (t *turns) clear() (all []*os.File) {
	all, t.waiting = t.waiting, nil
	return all
}
