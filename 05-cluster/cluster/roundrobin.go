package cluster

import (
	"cmp"
	"os"
	"slices"
)

// roundRobin is the picker of RoundRobin: the oldest connection goes to the idle worker that
// was served least recently. Node chooses the worker that has been idle longest, which favours
// faster workers.
type roundRobin struct {
	queue []*os.File
	turn  int
	turns map[*Worker]int // the last turn of each
}

func (r *roundRobin) push(conn *os.File) { r.queue = append(r.queue, conn) }

func (r *roundRobin) pick(idle []*Worker) (conn *os.File, w *Worker) {
	if len(r.queue) == 0 {
		return nil, nil
	}
	conn, r.queue = r.queue[0], r.queue[1:]
	w = slices.MinFunc(idle, func(a, b *Worker) int { return cmp.Compare(r.turns[a], r.turns[b]) })
	r.turn++
	r.turns[w] = r.turn
	return conn, w
}

func (r *roundRobin) remove(w *Worker) { delete(r.turns, w) }
func (r *roundRobin) len() int         { return len(r.queue) }

func (r *roundRobin) clear() (all []*os.File) {
	all, r.queue = r.queue, nil
	return all
}
