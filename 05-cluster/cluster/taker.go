package cluster

import "time"

// taker is a worker that takes the connections of a dispatcher.
type taker struct {
	worker     *Worker
	unaccepted int       // connections that it was given and has not answered
	since      time.Time // when it got the first of them, or answered the last one before
	late       bool      // it accepts a connection when its request begins
	refused    bool      // it has refused a connection, and may have no room
	retry      *time.Timer
}

// idle reports whether it has no connection and would not refuse one.
func (t *taker) idle() bool { return t.unaccepted == 0 && !t.refused }

// hasRoom reports whether the worker may have one more connection. A worker that has left one for
// the time stuck gets no more.
func (t *taker) hasRoom(most int, stuck time.Duration) bool {
	if t.refused || t.unaccepted >= t.most(most) {
		return false
	}
	return t.unaccepted == 0 || time.Since(t.since) < stuck
}

// most returns how many unaccepted connections it may have; set is Settings.MaxPending.
func (t *taker) most(set int) int {
	switch {
	case set > 0:
		return set
	case t.late:
		return 8
	default:
		return 1
	}
}

func (t *taker) given() {
	if t.unaccepted == 0 {
		t.since = time.Now()
	}
	t.unaccepted++
}

func (t *taker) answered() {
	t.unaccepted--
	t.since = time.Now()
}

// refuse has retry called after a pause.
func (t *taker) refuse(retry func()) {
	t.refused = true
	if t.retry != nil {
		t.retry.Stop() // it would come too early now
	}
	t.retry = time.AfterFunc(refusedPause, retry)
}
