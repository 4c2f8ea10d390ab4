package cluster

import (
	"cmp"
	"slices"
)

// maxMissed is how many connections a worker that missed its turns makes up for, so that after a
// long time it does not get all of them.
const maxMissed = 8

// roundRobin is the picker of RoundRobin: the oldest connection goes to the ready worker that had
// the fewest, and among several of these to the worker served least recently. The primary may
// read that a worker has accepted only after the client's next connection; that changes no
// worker's share. Node chooses the worker that has been idle longest, which favours faster workers.
type roundRobin struct {
	queue  []connFD
	given  int // connections so far
	most   int // turns of the worker that had most
	shares map[*Worker]share
}

// share is how many turns a worker had, and when it had the last one.
type share struct{ turns, last int }

func (r *roundRobin) push(conn connFD) { r.queue = append(r.queue, conn) }

func (r *roundRobin) pick(ready, _ []*Worker) (conn connFD, w *Worker) {
	if len(r.queue) == 0 {
		return noConn, nil
	}
	conn, r.queue = r.queue[0], r.queue[1:]
	w = slices.MinFunc(ready, func(a, b *Worker) int {
		return cmp.Or(cmp.Compare(r.turns(a), r.turns(b)), cmp.Compare(r.shares[a].last, r.shares[b].last))
	})
	r.given++
	turns := r.turns(w) + 1
	r.shares[w] = share{turns, r.given}
	r.most = max(r.most, turns)
	return conn, w
}

// turns returns how many turns a worker had, not counting those that it missed long ago.
func (r *roundRobin) turns(w *Worker) int { return max(r.shares[w].turns, r.most-maxMissed) }

// add makes a worker begin with as many turns as the others. It has missed none.
func (r *roundRobin) add(w *Worker) {
	if _, known := r.shares[w]; !known {
		r.shares[w] = share{turns: r.most}
	}
}

func (r *roundRobin) remove(w *Worker) { delete(r.shares, w) }
func (r *roundRobin) len() int         { return len(r.queue) }

func (r *roundRobin) clear() (all []connFD) {
	all, r.queue = r.queue, nil
	return all
}
