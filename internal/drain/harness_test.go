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

// gatedListener is a listener. Its connections are read only after the gate was opened: until
// then a request has arrived, and the server has not read it.
type gatedListener struct {
	net.Listener
	gate     chan struct{} // closed by the test to open it
	accepted chan struct{} // receives a value for each connection
	closed   chan struct{}
	close    func()
}

func listen(t *testing.T) *gatedListener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed := make(chan struct{})
	once := sync.OnceFunc(func() { close(closed) })
	return &gatedListener{l, make(chan struct{}), make(chan struct{}, 2), closed, once}
}

func (l *gatedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.accepted <- struct{}{}
	return gatedConn{conn, l.gate}, nil
}

func (l *gatedListener) Close() error {
	defer l.close()
	return l.Listener.Close()
}

type gatedConn struct {
	net.Conn
	gate chan struct{}
}

func (c gatedConn) Read(p []byte) (int, error) {
	<-c.gate
	return c.Conn.Read(p)
}

// client is a connection to the server.
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

// request sends a request.
func (c client) request(path string) {
	c.t.Helper()
	_, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
	require.NoError(c.t, err)
}

// answer reads an answer. last reports whether the server closes the connection after it.
func (c client) answer() (body string, last bool) {
	c.t.Helper()
	response, err := http.ReadResponse(c.in, nil)
	require.NoError(c.t, err)
	text, err := io.ReadAll(response.Body)
	require.NoError(c.t, err)
	return string(text), response.Close
}

// requireEnd requires that the server closes the connection.
func (c client) requireEnd() {
	c.t.Helper()
	_, err := c.in.ReadByte()
	require.Equal(c.t, io.EOF, err)
}

// echoPath answers with the path of the request.
var echoPath = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path) })

// serve starts a server. Serve must return http.ErrServerClosed by the end of the test.
func serve(t *testing.T, handler http.Handler, l net.Listener) *Server {
	s := New(handler)
	served := make(chan error)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() { require.Equal(t, http.ErrServerClosed, <-served) })
	return s
}

// drain starts to drain s, and returns a channel for the result.
func drain(ctx context.Context, s *Server) chan error {
	drained := make(chan error, 1)
	go func() { drained <- s.Drain(ctx) }()
	return drained
}
