package cluster

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
	"playing-with-processes/internal/demo"
)

// outcomes records which worker has accepted each connection, and when each worker has
// ended.
type outcomes struct {
	mu       sync.Mutex
	accepted map[netip.AddrPort][]acceptance // by the client's address, which may be used again
	ended    map[*Worker]time.Time
}

type acceptance struct {
	at time.Time
	by *Worker
}

// trackOutcomes makes a primary with these settings record the outcomes.
func trackOutcomes(s *Settings) *outcomes {
	o := &outcomes{accepted: map[netip.AddrPort][]acceptance{}, ended: map[*Worker]time.Time{}}
	s.Handover = func(h Handover) {
		if h.Step == Accepted {
			o.accept(h.Worker, h.Client)
		}
	}
	return o
}

func (o *outcomes) accept(w *Worker, client netip.AddrPort) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.accepted[client] = append(o.accepted[client], acceptance{time.Now(), w})
	if _, known := o.ended[w]; known {
		return
	}
	o.ended[w] = time.Time{}
	go func() {
		<-w.process.Done()
		o.mu.Lock()
		defer o.mu.Unlock()
		o.ended[w] = time.Now()
	}()
}

// explain requires that each failure has its reason: a worker had accepted the
// connection, and was killed when it ended. It returns how many failures of each kind
// there are.
func (o *outcomes) explain(t *testing.T, stats demo.Stats) string {
	t.Helper()
	require.Zero(t, stats.Refused)
	require.Zero(t, stats.Hung)
	moment := clitest.Enough(t, 300)
	counts := map[bool]int{}
	for _, failure := range stats.Failures {
		w, ended := o.of(failure)
		require.NotNil(t, w, "no worker had accepted it: %v", failure.Err)
		require.False(t, ended.IsZero(), "%v still runs: %v", w, failure.Err)
		require.Less(t, ended.Sub(failure.At).Abs(), moment, "not at the end of %v: %v", w, failure.Err)
		require.NotZero(t, w.process.Exit().Signal, "%v: %v", w, failure.Err)
		counts[failure.Begun]++
	}
	return fmt.Sprintf("of %d requests 0 were refused, 0 hung, 0 lost before a worker had accepted them, "+
		"%d after it (L3), %d half-answered (L4); the longest wait was %v",
		stats.Requests(), counts[false], counts[true], stats.Longest.Round(time.Millisecond))
}

// of returns the worker that had accepted the connection of a failure, and when it ended.
func (o *outcomes) of(failure demo.Result) (w *Worker, ended time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, a := range o.accepted[netip.MustParseAddrPort(failure.From)] {
		if a.at.Before(failure.At) {
			w = a.by
		}
	}
	return w, o.ended[w]
}
