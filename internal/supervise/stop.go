package supervise

import (
	"context"
	"syscall"
	"time"
)

// TermTimeout is how long a process has to exit after SIGTERM.
const TermTimeout = time.Second

// Stop is the stop ladder: ask the process to leave, wait, and then Terminate it. It returns
// after the end of the process. ask runs in a goroutine of its own, because a process that
// does not read would block it; its context ends with patience.
func (p *Process) Stop(ask func(context.Context), patience time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	go ask(ctx)
	if !p.WaitTimeout(patience) {
		p.Terminate()
	}
}

// Terminate is the second half of the ladder: SIGTERM and, after TermTimeout, SIGKILL. It
// returns after the end of the process.
func (p *Process) Terminate() {
	if isClosed(p.done) {
		return
	}
	p.Signal(syscall.SIGTERM)
	if !p.WaitTimeout(TermTimeout) {
		p.Signal(syscall.SIGKILL)
	}
	<-p.done
}

// WaitTimeout waits for the end of the process, but no longer than timeout, and reports
// whether it has ended.
func (p *Process) WaitTimeout(timeout time.Duration) bool {
	select {
	case <-p.done:
		return true
	case <-time.After(timeout):
		return isClosed(p.done) // with a short timeout both may be ready
	}
}
