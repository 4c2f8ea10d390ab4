package main

import (
	"context"
	"syscall"
	"time"
)

const (
	// drainFor is what open requests get to be finished. `docker stop` waits 10
	// seconds for all of it.
	drainFor = 5 * time.Second
	// termFor is how long a worker has after SIGTERM, which tells it to hurry.
	termFor = time.Second
)

// stop is the ladder: ask, wait, and then insist.
func (w *supervised) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), drainFor)
	defer cancel()
	go w.Send(ctx, notice{Act: actStop}) // who does not read keeps it waiting
	if !w.endsWithin(drainFor) {
		w.insist()
	}
}

// insist is its second half: SIGTERM, and then SIGKILL, which nobody survives.
func (w *supervised) insist() {
	if w.endsWithin(0) {
		return
	}
	w.signal(syscall.SIGTERM)
	if !w.endsWithin(termFor) {
		w.signal(syscall.SIGKILL)
	}
	<-w.gone
}

func (w *supervised) endsWithin(patience time.Duration) bool {
	select {
	case <-w.gone:
		return true
	case <-time.After(patience):
		return false
	}
}
