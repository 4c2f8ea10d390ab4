package supervise

import (
	"context"
	"syscall"
	"time"
)

// TermFor is how long a worker has after SIGTERM, which tells it to hurry.
const TermFor = time.Second

// Stop is the ladder: ask, wait, and then Insist. It returns after the worker's end.
// ask has a goroutine of its own, since a worker that does not read keeps it waiting;
// its context ends with patience.
func (p *Process) Stop(ask func(context.Context), patience time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	go ask(ctx)
	if !p.EndsWithin(patience) {
		p.Insist()
	}
}

// Insist is its second half: SIGTERM, and after TermFor SIGKILL, which nobody
// survives. It returns after the worker's end.
func (p *Process) Insist() {
	if p.EndsWithin(0) {
		return
	}
	p.Signal(syscall.SIGTERM)
	if !p.EndsWithin(TermFor) {
		p.Signal(syscall.SIGKILL)
	}
	<-p.gone
}

// EndsWithin waits for the worker's end, but no longer than patience, and says
// whether it has come.
func (p *Process) EndsWithin(patience time.Duration) bool {
	select {
	case <-p.gone:
		return true
	case <-time.After(patience):
		return false
	}
}
