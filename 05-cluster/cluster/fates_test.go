package cluster

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/visitors"
)

// fates is which worker has accepted each connection, and what has become of it.
type fates struct {
	mu       sync.Mutex
	accepted map[string][]acceptance // by the client's address, which others have later
	ended    map[*Worker]time.Time
}

type acceptance struct {
	at time.Time
	by *Worker
}

// followFates begins to note them. Call it before there are workers.
func (r *rig) followFates() *fates {
	f := &fates{accepted: map[string][]acceptance{}, ended: map[*Worker]time.Time{}}
	r.onAccept = func(w *Worker, conn *os.File) {
		address := peer(conn)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.accepted[address] = append(f.accepted[address], acceptance{time.Now(), w})
		if _, known := f.ended[w]; known {
			return
		}
		f.ended[w] = time.Time{}
		go func() {
			<-w.gone
			f.mu.Lock()
			defer f.mu.Unlock()
			f.ended[w] = time.Now()
		}()
	}
	return f
}

// explain requires that each failure has its reason: a worker had accepted the connection,
// and was killed when it ended. It tells how many there are of each rung.
func (f *fates) explain(t *testing.T, met visitors.Tally) string {
	t.Helper()
	require.Zero(t, met.Refused)
	require.Zero(t, met.Hung)
	rungs := map[bool]int{}
	for _, cut := range met.CutOff {
		w, died := f.of(cut)
		require.NotNil(t, w, "it was nobody's yet: %v", cut.Err)
		require.False(t, died.IsZero(), "%v lives: %v", w, cut.Err)
		require.Less(t, died.Sub(cut.At).Abs(), time.Second, "not when %v died: %v", w, cut.Err)
		require.NotZero(t, w.end.Exit.Signal, "%v: %v", w.end, cut.Err)
		rungs[cut.Half]++
	}
	return fmt.Sprintf("of %d requests 0 were refused, 0 hung, 0 lost before a worker had accepted them, "+
		"%d after it (L3), %d half-answered (L4); the longest wait was %v",
		met.Visits(), rungs[false], rungs[true], met.Longest.Round(time.Millisecond))
}

// of is the worker that had accepted the connection of a visit, and when it ended.
func (f *fates) of(cut visitors.Cut) (w *Worker, died time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.accepted[cut.From] {
		if a.at.Before(cut.At) {
			w = a.by
		}
	}
	return w, f.ended[w]
}
