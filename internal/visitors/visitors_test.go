package visitors

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

// What the visitors meet is counted as what it is.
func TestCount(t *testing.T) {
	c := Gather(t.Context(), "", 0, 0)
	c.count(outcome{answer: "worker 1"}, time.Hour)
	for _, err := range []error{
		&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)},
		context.DeadlineExceeded, os.ErrDeadlineExceeded, io.ErrUnexpectedEOF,
	} {
		c.count(outcome{err: err}, 0)
	}
	met := c.Sofar()
	require.Equal(t, []int{1, 1, 2, 1, 5}, []int{met.Answered["worker 1"], met.Refused, met.Hung, len(met.CutOff), met.Visits()})
	require.Equal(t, time.Hour, met.Longest)
	require.Equal(t, "worker 1", met.LongestBy)
	require.Equal(t, "worker 1", (<-c.Firsts).Name)

	c.count(outcome{answer: "worker 2"}, time.Minute)
	require.Equal(t, "worker 1", c.Sofar().LongestBy)
	c.count(outcome{answer: "worker", err: io.ErrUnexpectedEOF, begun: true}, 2*time.Hour)
	met = c.Disperse()
	require.Equal(t, 2*time.Hour, met.Longest)
	require.Empty(t, met.LongestBy) // half an answer is none
}

// Of a visitor who is cut off it is told who that was, and whether the answer had
// begun.
func TestCut(t *testing.T) {
	from := make(chan string, 2)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from <- r.RemoteAddr
		if r.URL.Path == "/half" {
			io.WriteString(w, "work")
			http.NewResponseController(w).Flush()
		}
		panic(http.ErrAbortHandler)
	}))
	address := server.Listener.Addr().String()
	c := Gather(t.Context(), address, 0, 0)
	for _, path := range []string{"/", "/half"} {
		_, err := c.Visit(path)
		require.Error(t, err)
	}
	server.Close()
	_, err := c.Visit("/")
	require.ErrorIs(t, err, syscall.ECONNREFUSED)

	met := c.Disperse()
	require.Equal(t, 1, met.Refused)
	require.Len(t, met.CutOff, 2)
	for i, cut := range met.CutOff {
		require.Equal(t, <-from, cut.From)
		require.Equal(t, i == 1, cut.Half)
	}
	require.ErrorIs(t, met.CutOff[1].Err, io.ErrUnexpectedEOF)
}

// A crowd comes again and again, and tells whom it has met first.
func TestCrowd(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "worker 1\n")
	}))
	defer server.Close()
	c := Gather(t.Context(), server.Listener.Addr().String(), 2, 0)
	require.Equal(t, "worker 1", (<-c.Firsts).Name)
	for c.Sofar().Answered["worker 1"] < 10 {
		time.Sleep(time.Millisecond)
	}
	met := c.Disperse()
	require.Equal(t, met.Visits(), met.Answered["worker 1"])
	require.Empty(t, c.Firsts)
}

// Regulars have one connection each, and the next one when the server ends that. A server
// that ends it without an answer cuts them off.
func TestRegulars(t *testing.T) {
	var mu sync.Mutex
	connections := map[string]int{} // requests of each
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
	c := GatherRegulars(t.Context(), server.Listener.Addr().String(), 1, 0)
	for len(c.Sofar().CutOff) < 3 {
		time.Sleep(time.Millisecond)
	}
	met := c.Disperse()
	for _, cut := range met.CutOff {
		require.True(t, cut.Again)
		require.False(t, cut.Half)
		require.Equal(t, 3, connections[cut.From])
	}
	require.GreaterOrEqual(t, len(connections), 5)
	require.GreaterOrEqual(t, met.Answered["worker 1"], 12)
}

// What nobody reads of the first answers does not hold up the visitors.
func TestManyFirsts(t *testing.T) {
	c := Gather(t.Context(), "", 0, 0)
	for i := range firstsKept + 1 {
		c.count(outcome{answer: fmt.Sprint(i)}, 0)
	}
	require.Equal(t, "0", (<-c.Firsts).Name)
	require.Len(t, c.Disperse().Answered, firstsKept+1)
}
