// Package drain serves HTTP, and when told to drain, answers every request that has
// arrived before it ends.
//
// http.Server.Shutdown does not: it closes connections that look idle, and drops a request
// that it reads a moment after the call, even on a connection that it accepted before. It
// relies on clients that try again.
package drain

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// OrphanTimeout is how long a worker that has lost its primary may finish its requests: nothing
// would replace or stop it.
const OrphanTimeout = 500 * time.Millisecond

// headerTimeout bounds how long a client that sends no request can delay the drain.
const headerTimeout = 5 * time.Second

// Server serves HTTP/1. Its methods may be called from several goroutines.
type Server struct {
	http     http.Server
	draining atomic.Bool
	active   sync.WaitGroup // calls of Serve, and open connections
	serving  atomic.Int64   // requests, but for those whose connection was hijacked

	mu        sync.Mutex
	listeners []net.Listener
}

// New returns a server for handler.
func New(handler http.Handler) *Server {
	s := new(Server)
	s.http = http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.serving.Add(1)
			done := sync.OnceFunc(func() { s.serving.Add(-1) })
			defer done()
			own := responseWriter{ResponseWriter: w, draining: &s.draining, hijacked: done}
			handler.ServeHTTP(own, r)
			own.begin()
		}),
		ReadHeaderTimeout: headerTimeout,
		ConnState:         s.countConn,
	}
	return s
}

// Serve accepts connections from l until Drain, which closes l. It then returns
// http.ErrServerClosed.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	if s.draining.Load() {
		s.mu.Unlock()
		l.Close()
		return http.ErrServerClosed
	}
	s.listeners = append(s.listeners, l)
	s.active.Add(1)
	s.mu.Unlock()
	defer s.active.Done()

	err := s.http.Serve(l)
	if s.draining.Load() {
		return http.ErrServerClosed
	}
	return err
}

// Drain closes the listeners and waits until all connections have ended. Each answer that
// begins from now on is the last of its connection. An idle connection may carry a request
// that is still on its way, so it stays open until ctx ends; then every open connection is
// closed. If a request was being served on one of them, the error is a CutOff.
func (s *Server) Drain(ctx context.Context) error {
	s.mu.Lock()
	s.draining.Store(true)
	for _, l := range s.listeners {
		l.Close()
	}
	s.mu.Unlock()

	ended := make(chan struct{})
	go func() {
		s.active.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		cut := CutOff(s.serving.Load())
		s.http.Close()
		if cut > 0 {
			return cut
		}
		return nil
	}
}

// CutOff is how many requests got no whole answer.
type CutOff int

func (n CutOff) Error() string {
	if n == 1 {
		return "1 request was cut off: the time to finish it was over"
	}
	return fmt.Sprintf("%d requests were cut off: the time to finish them was over", int(n))
}

// countConn counts open connections. net/http reports a new one before it accepts the next,
// so Serve, which is counted itself, has counted all that it accepted when it returns.
func (s *Server) countConn(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.active.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.active.Done()
	}
}
