package drain

import (
	"context"
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// A request that arrived before the drain, and is read after its start, must be answered.
func TestLateRequest(t *testing.T) {
	l := listen(t)
	s := serve(t, echoPath, l)
	c := dial(t, l)
	c.request("/late")
	<-l.accepted
	drained := drain(t.Context(), s)
	<-l.closed
	close(l.gate)
	body, last := c.answer()
	require.Equal(t, "/late", body)
	require.True(t, last)
	require.NoError(t, <-drained)
}

// Shutdown of net/http drops such a request, which is why this package exists. When this
// test fails, the package may have become unnecessary.
func TestShutdownDropsLateRequest(t *testing.T) {
	l := listen(t)
	s := &http.Server{Handler: echoPath}
	go s.Serve(l)
	c := dial(t, l)
	c.request("/late")
	<-l.accepted
	drained := make(chan error, 1)
	go func() { drained <- s.Shutdown(t.Context()) }()
	<-l.closed
	close(l.gate)
	c.requireEnd()
	require.NoError(t, <-drained)
}

// During the drain, an idle connection must be able to carry one more request, the last
// one.
func TestIdleConnection(t *testing.T) {
	l := listen(t)
	close(l.gate)
	s := serve(t, echoPath, l)
	c := dial(t, l)
	c.request("/first")
	body, last := c.answer()
	require.Equal(t, "/first", body)
	require.False(t, last)
	drained := drain(t.Context(), s)
	<-l.closed
	c.request("/second")
	body, last = c.answer()
	require.Equal(t, "/second", body)
	require.True(t, last)
	c.requireEnd()
	require.NoError(t, <-drained)
}

// At the end of the context, Drain must close every connection that is still open: one
// that is idle, and one with a handler that does not return, which it counts.
func TestDeadline(t *testing.T) {
	l := listen(t)
	close(l.gate)
	entered := make(chan struct{})
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			close(entered)
			<-r.Context().Done()
		}
	}), l)
	idle, waiting := dial(t, l), dial(t, l)
	idle.request("/")
	idle.answer()
	waiting.request("/wait")
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	drained := drain(ctx, s)
	<-l.closed
	cancel()
	require.Equal(t, CutOff(1), <-drained)
	idle.requireEnd()
	waiting.requireEnd()
}

// Drain must close every listener, and must not wait for a connection that a handler has
// hijacked.
func TestHijackedConnection(t *testing.T) {
	l, other := listen(t), listen(t)
	close(l.gate)
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		require.NoError(t, err)
		conn.Close()
	}), l)
	served := make(chan error)
	go func() { served <- s.Serve(other) }()
	c := dial(t, l)
	c.request("/")
	c.requireEnd()
	open := dial(t, other)
	<-other.accepted // so Serve is running
	close(other.gate)
	ctx, cancel := context.WithCancel(t.Context())
	drained := drain(ctx, s)
	<-l.closed
	<-other.closed
	require.Equal(t, http.ErrServerClosed, <-served)
	cancel()
	require.NoError(t, <-drained)
	open.requireEnd() // until the end of ctx it was open, and idle
}

// After the drain, Serve must close the listener and accept nothing.
func TestServeAfterDrain(t *testing.T) {
	s := New(echoPath)
	require.NoError(t, s.Drain(t.Context()))
	l := listen(t)
	require.Equal(t, http.ErrServerClosed, s.Serve(l))
	<-l.closed
}

// Serve must return the error that ended it.
func TestServeFails(t *testing.T) {
	l := listen(t)
	require.NoError(t, l.Close())
	require.ErrorIs(t, New(echoPath).Serve(l), net.ErrClosed)
}
