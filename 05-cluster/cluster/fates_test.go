package cluster

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/demo"
)

// fates is which worker has accepted each connection, and what has become of it.
type fates struct {
	mu       sync.Mutex
	accepted map[netip.AddrPort][]acceptance // by the client's address, which others have later
	ended    map[*Worker]time.Time
}

type acceptance struct {
	at time.Time
	by *Worker
}

// followFates makes the primary with these settings report them.
func followFates(s *Settings) *fates {
	f := &fates{accepted: map[netip.AddrPort][]acceptance{}, ended: map[*Worker]time.Time{}}
	s.Accepted = f.accept
	return f
}

func (f *fates) accept(w *Worker, client netip.AddrPort) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.accepted[client] = append(f.accepted[client], acceptance{time.Now(), w})
	if _, known := f.ended[w]; known {
		return
	}
	f.ended[w] = time.Time{}
	go func() {
		<-w.process.Done()
		f.mu.Lock()
		defer f.mu.Unlock()
		f.ended[w] = time.Now()
	}()
}

// explain requires that each failure has its reason: a worker had accepted the connection,
// and was killed when it ended. It tells how many there are of each rung.
func (f *fates) explain(t *testing.T, stats demo.Stats) string {
	t.Helper()
	require.Zero(t, stats.Refused)
	require.Zero(t, stats.Hung)
	rungs := map[bool]int{}
	for _, failure := range stats.Failures {
		w, died := f.of(failure)
		require.NotNil(t, w, "it was nobody's yet: %v", failure.Err)
		require.False(t, died.IsZero(), "%v lives: %v", w, failure.Err)
		require.Less(t, died.Sub(failure.At).Abs(), time.Second, "not when %v died: %v", w, failure.Err)
		require.NotZero(t, w.process.Exit().Signal, "%v: %v", w, failure.Err)
		rungs[failure.Partial]++
	}
	return fmt.Sprintf("of %d requests 0 were refused, 0 hung, 0 lost before a worker had accepted them, "+
		"%d after it (L3), %d half-answered (L4); the longest wait was %v",
		stats.Requests(), rungs[false], rungs[true], stats.Longest.Round(time.Millisecond))
}

// of is the worker that had accepted the connection of a visit, and when it ended.
func (f *fates) of(failure demo.Failure) (w *Worker, died time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.accepted[netip.MustParseAddrPort(failure.From)] {
		if a.at.Before(failure.At) {
			w = a.by
		}
	}
	return w, f.ended[w]
}
