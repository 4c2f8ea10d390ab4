package cluster

import (
	"net/http"
	"sync/atomic"
	"time"
)

// requestTime is how long Accept waits for the request of the connection before. A client may
// connect and send nothing.
const requestTime = 2 * time.Millisecond

// pace makes a server accept a connection when it has time for it: once a request has begun since
// the last one. Until then the next connection is safe if this worker dies: another worker gets
// it. A server that accepts as fast as it can loses all that it has accepted.
type pace struct {
	begun    chan struct{} // has room for one token: a request has begun
	accepted atomic.Bool   // a connection was accepted
}

func newPace() *pace { return &pace{begun: make(chan struct{}, 1)} }

// await waits until the next connection may be accepted. A nil pace does not wait.
func (p *pace) await() {
	if p == nil || !p.accepted.Swap(true) {
		return
	}
	timer := time.NewTimer(requestTime)
	defer timer.Stop()
	select {
	case <-p.begun:
	case <-timer.C:
	}
}

// handler returns a handler that counts a request before it calls next.
func (p *pace) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case p.begun <- struct{}{}:
		default: // there is a token already
		}
		next.ServeHTTP(w, r)
	})
}
