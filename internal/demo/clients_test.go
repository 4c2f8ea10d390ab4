package demo

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Each result of a request is counted under its own heading.
func TestCount(t *testing.T) {
	c := Start(t.Context(), Load{})
	c.count(Result{Answer: "worker 1"}, time.Hour)
	for _, err := range []error{
		&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)},
		context.DeadlineExceeded, os.ErrDeadlineExceeded, io.ErrUnexpectedEOF,
	} {
		c.count(Result{Err: err}, 0)
	}
	s := c.Snapshot()
	require.Equal(t, []int{1, 1, 2, 1, 5}, []int{s.Answered["worker 1"], s.Refused, s.Hung, len(s.Failures), s.Requests()})
	require.Equal(t, time.Hour, s.Longest)
	require.Equal(t, "worker 1", s.LongestBy)
	require.Equal(t, "worker 1", (<-c.Firsts).Answer)

	c.count(Result{Answer: "worker 2"}, time.Minute)
	require.Equal(t, "worker 1", c.Snapshot().LongestBy)
	c.count(Result{Answer: "worker", Err: io.ErrUnexpectedEOF, Begun: true}, 2*time.Hour)
	s = c.Stop()
	require.Equal(t, 2*time.Hour, s.Longest)
	require.Empty(t, s.LongestBy) // a partial answer is no answer
}

// A failure names the client's connection, and says whether the answer had begun.
func TestFailure(t *testing.T) {
	from := make(chan string, 2)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from <- r.RemoteAddr
		if r.URL.Path == "/half" {
			io.WriteString(w, "work")
			http.NewResponseController(w).Flush()
		}
		panic(http.ErrAbortHandler)
	}))
	c := Start(t.Context(), Load{Address: server.Listener.Addr().String()})
	for _, path := range []string{"/", "/half"} {
		_, err := c.Get(path)
		require.Error(t, err)
	}
	server.Close()
	_, err := c.Get("/")
	require.ErrorIs(t, err, syscall.ECONNREFUSED)

	s := c.Stop()
	require.Equal(t, 1, s.Refused)
	require.Len(t, s.Failures, 2)
	for i, failure := range s.Failures {
		require.Equal(t, <-from, failure.From)
		require.Equal(t, i == 1, failure.Begun)
	}
	require.ErrorIs(t, s.Failures[1].Err, io.ErrUnexpectedEOF)
}

// Clients make requests until Stop, and the first answer of each worker is reported.
func TestClients(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "worker 1\n")
	}))
	defer server.Close()
	c := Start(t.Context(), Load{Address: server.Listener.Addr().String(), Clients: 2})
	require.Equal(t, "worker 1", (<-c.Firsts).Answer)
	for c.Snapshot().Answered["worker 1"] < 10 {
		time.Sleep(time.Millisecond)
	}
	s := c.Stop()
	require.Equal(t, s.Requests(), s.Answered["worker 1"])
	require.Empty(t, c.Firsts)
}

// A keep-alive client uses one connection until the server closes it, and then the next
// one. If the server closes it without an answer, the request has failed.
func TestKeepAlive(t *testing.T) {
	var mu sync.Mutex
	connections := map[string]int{} // requests on each
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		connections[r.RemoteAddr]++
		nth := connections[r.RemoteAddr]
		last := len(connections)%2 == 0
		mu.Unlock()
		if nth == 3 && !last {
			panic(http.ErrAbortHandler)
		}
		if nth == 3 {
			w.Header().Set("Connection", "close")
		}
		io.WriteString(w, "worker 1")
	}))
	defer server.Close()
	c := Start(t.Context(), Load{Address: server.Listener.Addr().String(), Clients: 1, KeepAlive: true})
	for len(c.Snapshot().Failures) < 3 {
		time.Sleep(time.Millisecond)
	}
	s := c.Stop()
	mu.Lock()
	defer mu.Unlock()
	for _, failure := range s.Failures {
		require.True(t, failure.Reused)
		require.False(t, failure.Begun)
		require.Equal(t, 3, connections[failure.From])
	}
	require.GreaterOrEqual(t, len(connections), 5)
	require.GreaterOrEqual(t, s.Answered["worker 1"], 12)
}

// First answers that are not received do not block the clients.
func TestManyFirsts(t *testing.T) {
	c := Start(t.Context(), Load{})
	for i := range maxFirsts + 1 {
		c.count(Result{Answer: fmt.Sprint(i)}, 0)
	}
	require.Equal(t, "0", (<-c.Firsts).Answer)
	require.Len(t, c.Stop().Answered, maxFirsts+1)
}
