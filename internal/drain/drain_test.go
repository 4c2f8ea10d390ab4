package drain

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// late is a listener whose connections are read only when the gate opens: what a
// client has sent has arrived, and the server gets to it a moment later.
type late struct {
	net.Listener
	gate     chan struct{}
	accepted chan struct{}
	closed   chan struct{}
	close    func()
}

func listen(t *testing.T) *late {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed := make(chan struct{})
	once := sync.OnceFunc(func() { close(closed) })
	return &late{l, make(chan struct{}), make(chan struct{}, 2), closed, once}
}

func (l *late) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.accepted <- struct{}{}
	return lateConn{conn, l.gate}, nil
}

func (l *late) Close() error {
	defer l.close()
	return l.Listener.Close()
}

type lateConn struct {
	net.Conn
	gate chan struct{}
}

func (c lateConn) Read(p []byte) (int, error) {
	<-c.gate
	return c.Conn.Read(p)
}

// client is a connection with what has been read of it.
type client struct {
	net.Conn
	t  *testing.T
	in *bufio.Reader
}

func dial(t *testing.T, l net.Listener) client {
	t.Helper()
	conn, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return client{conn, t, bufio.NewReader(conn)}
}

func (c client) ask(path string) {
	c.t.Helper()
	_, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
	require.NoError(c.t, err)
}

// answer is the answer, and whether it is the last on this connection.
func (c client) answer() (body string, last bool) {
	c.t.Helper()
	response, err := http.ReadResponse(c.in, nil)
	require.NoError(c.t, err)
	text, err := io.ReadAll(response.Body)
	require.NoError(c.t, err)
	return string(text), response.Close
}

func (c client) requireEnd() {
	c.t.Helper()
	_, err := c.in.ReadByte()
	require.Equal(c.t, io.EOF, err)
}

// path answers with the path of the request.
var path = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path) })

// serve starts a server, and requires that it is told of its end.
func serve(t *testing.T, handler http.Handler, l net.Listener) *Server {
	s := New(handler)
	served := make(chan error)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() { require.Equal(t, http.ErrServerClosed, <-served) })
	return s
}

// drain drains s, and returns a channel for what it says.
func drain(ctx context.Context, s *Server) chan error {
	drained := make(chan error, 1)
	go func() { drained <- s.Drain(ctx) }()
	return drained
}

// A request that has arrived before the drain began, and is read a moment later, is
// answered.
func TestLateRequest(t *testing.T) {
	l := listen(t)
	s := serve(t, path, l)
	c := dial(t, l)
	c.ask("/late")
	<-l.accepted
	drained := drain(t.Context(), s)
	<-l.closed
	close(l.gate)
	body, last := c.answer()
	require.Equal(t, "/late", body)
	require.True(t, last)
	require.NoError(t, <-drained)
}

// This is why there is this package. When it fails, net/http has become better.
func TestShutdownDropsLateRequest(t *testing.T) {
	l := listen(t)
	s := &http.Server{Handler: path}
	go s.Serve(l)
	c := dial(t, l)
	c.ask("/late")
	<-l.accepted
	drained := make(chan error, 1)
	go func() { drained <- s.Shutdown(t.Context()) }()
	<-l.closed
	close(l.gate)
	c.requireEnd()
	require.NoError(t, <-drained)
}

// An idle connection may send one more request, and is told that this was the last.
func TestIdleConnection(t *testing.T) {
	l := listen(t)
	close(l.gate)
	s := serve(t, path, l)
	c := dial(t, l)
	c.ask("/first")
	body, last := c.answer()
	require.Equal(t, "/first", body)
	require.False(t, last)
	drained := drain(t.Context(), s)
	<-l.closed
	c.ask("/second")
	body, last = c.answer()
	require.Equal(t, "/second", body)
	require.True(t, last)
	c.requireEnd()
	require.NoError(t, <-drained)
}

// What is still open when the context ends is closed: an idle connection, and one
// whose handler does not return.
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
	idle.ask("/")
	idle.answer()
	waiting.ask("/wait")
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	drained := drain(ctx, s)
	<-l.closed
	cancel()
	require.Equal(t, context.Canceled, <-drained)
	idle.requireEnd()
	waiting.requireEnd()
}

// A connection that a handler has taken over is the handler's own, and each listener
// is closed.
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
	c.ask("/")
	c.requireEnd()
	dial(t, other)
	<-other.accepted // so this one is being served
	close(other.gate)
	ctx, cancel := context.WithCancel(t.Context())
	drained := drain(ctx, s)
	<-l.closed
	<-other.closed
	require.Equal(t, http.ErrServerClosed, <-served)
	cancel() // the second one is open, and idle
	require.Equal(t, context.Canceled, <-drained)
}

// After the drain nothing is accepted any more.
func TestServeAfterDrain(t *testing.T) {
	s := New(path)
	require.NoError(t, s.Drain(t.Context()))
	l := listen(t)
	require.Equal(t, http.ErrServerClosed, s.Serve(l))
	<-l.closed
}

// Serve tells why it could not go on.
func TestServeFails(t *testing.T) {
	l := listen(t)
	require.NoError(t, l.Close())
	require.ErrorIs(t, New(path).Serve(l), net.ErrClosed)
}
