package cluster

import (
	"net/http"
	"sync"
	"time"
)

// A listener waits this long for the request of a connection before it accepts the next: less after
// each time-out, because a client may connect and send nothing, and more after each request.
const (
	requestTime      = 2 * time.Millisecond
	leastRequestTime = 50 * time.Microsecond
)

// pace makes a server accept a connection when it has time for it: once a request has begun since
// the last one. Until then the next connection is safe if this worker dies: another worker gets
// it. A server that accepts as fast as it can loses all that it has accepted.
type pace struct {
	begun chan struct{} // has room for one token: a request has begun

	mu      sync.Mutex // one call of await at a time
	started bool       // await was called before
	limit   time.Duration
}

func newPace() *pace { return &pace{begun: make(chan struct{}, 1), limit: requestTime} }

// await waits until the next connection may be accepted. A nil pace does not wait.
func (p *pace) await() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.started {
		p.started = true
		return
	}
	timer := time.NewTimer(p.limit)
	defer timer.Stop()
	select {
	case <-p.begun:
		p.limit = min(2*p.limit, requestTime)
	case <-timer.C:
		p.limit = max(p.limit/4, leastRequestTime)
	}
}

// handler returns a handler that reports a request before it calls next.
func (p *pace) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case p.begun <- struct{}{}:
		default: // there is a token already
		}
		next.ServeHTTP(w, r)
	})
}
