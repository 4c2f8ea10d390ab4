package cluster

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// One after the other, everybody has the turn: next idle is exactly even.
func TestSpreadSequential(t *testing.T) {
	each(t, func(t *testing.T, worker []string) {
		const requests, workers = 1000, 4
		r := raise(t, Settings{Policy: RoundRobin}, worker...)
		all, address := r.fork(workers)
		answered := map[string]int{}
		for range requests {
			answered[get(t, "tcp", address)]++
			r.rest(workers) // the answer may be here before the primary has heard who gave it
		}
		for _, w := range all {
			require.Equal(t, requests/workers, answered[name(w)])
		}
	})
}

// Side by side, who is slower gets less, but nobody less than half of a fair share.
func TestSpreadParallel(t *testing.T) {
	each(t, func(t *testing.T, worker []string) {
		const requests, clients, workers = 2000, 20, 4
		r := raise(t, Settings{Policy: RoundRobin}, worker...)
		all, address := r.fork(workers)
		var mu sync.Mutex
		answered := map[string]int{}
		var done sync.WaitGroup
		for range clients {
			done.Go(func() {
				for range requests / clients {
					who := get(t, "tcp", address)
					mu.Lock()
					answered[who]++
					mu.Unlock()
				}
			})
		}
		done.Wait()
		t.Logf("%d requests, %d at a time: %v", requests, clients, answered)
		for _, w := range all {
			require.GreaterOrEqual(t, answered[name(w)], requests/workers/2)
		}
	})
}

// rest waits until all workers of the port are idle.
func (r *rig) rest(workers int) {
	r.t.Helper()
	d := r.dispatcher()
	idle := func() bool {
		d.changed.L.Lock()
		defer d.changed.L.Unlock()
		return len(d.idle) == workers
	}
	for deadline := time.Now().Add(patience); !idle(); runtime.Gosched() {
		require.True(r.t, time.Now().Before(deadline))
	}
}
