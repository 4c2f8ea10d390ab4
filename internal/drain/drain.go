// Package drain serves HTTP until it is told to leave, and then answers all that
// has come before it ends.
//
// http.Server.Shutdown does not: it closes connections that look idle, and drops a
// request that was read a moment after it was called, though the connection had
// been accepted before. Its callers are to rely on clients that try again.
package drain

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// headerFor bounds a client that sends no request, and would hold up a drain.
const headerFor = 5 * time.Second

// Server serves HTTP/1. Its methods may be called from several goroutines.
type Server struct {
	http      http.Server
	leaving   atomic.Bool
	accepting sync.WaitGroup // calls of Serve
	open      sync.WaitGroup // connections

	mu        sync.Mutex
	listeners []net.Listener
}

// New returns a server for handler.
func New(handler http.Handler) *Server {
	s := new(Server)
	s.http = http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a := answer{ResponseWriter: w, leaving: &s.leaving}
			handler.ServeHTTP(a, r)
			a.begin()
		}),
		ReadHeaderTimeout: headerFor,
		ConnState:         s.count,
	}
	return s
}

// Serve accepts connections from l until Drain. It closes l, and returns
// http.ErrServerClosed then.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	if s.leaving.Load() {
		s.mu.Unlock()
		l.Close()
		return http.ErrServerClosed
	}
	s.listeners = append(s.listeners, l)
	s.accepting.Add(1)
	s.mu.Unlock()
	defer s.accepting.Done()

	err := s.http.Serve(l)
	if s.leaving.Load() {
		return http.ErrServerClosed
	}
	return err
}

// Drain closes the listeners, and waits until all connections have ended: each
// answer that is begun from now on ends its own. An idle connection, on which the
// next request may be on its way, is waited for until ctx ends. Then what is left is
// closed.
func (s *Server) Drain(ctx context.Context) error {
	s.mu.Lock()
	s.leaving.Store(true)
	for _, l := range s.listeners {
		l.Close()
	}
	s.mu.Unlock()

	empty := make(chan struct{})
	go func() {
		s.accepting.Wait() // who has been accepted is counted now
		s.open.Wait()
		close(empty)
	}()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		s.http.Close()
		return ctx.Err()
	}
}

// count follows the connections. A new one is told of before the next is accepted.
func (s *Server) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.open.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.open.Done()
	}
}
