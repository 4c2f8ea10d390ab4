package cluster

import (
	"os/exec"
	"runtime"
	"sync"
	"testing"
	"time"

	"playing-with-processes/internal/clitest"
	"playing-with-processes/internal/demo"

	"github.com/stretchr/testify/require"
)

// One after the other, everybody has the turn: next idle is exactly even.
func TestSpreadSequential(t *testing.T) {
	each(t, func(t *testing.T, worker []string) {
		const requests, workers = 1000, 4
		r := startPrimary(t, Settings{Policy: RoundRobin}, worker...)
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
		r := startPrimary(t, Settings{Policy: RoundRobin}, worker...)
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
func (r *harness) rest(workers int) {
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

// Go and Node take turns on one port.
func TestMixed(t *testing.T) {
	clitest.NeedNode(t)
	t.Parallel()
	for _, policy := range nodePolicies {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			var r *harness
			words := nodeHTTP
			r = startPrimary(t, Settings{Policy: policy, Command: func() *exec.Cmd { return r.command(words...) }})
			node, address := r.fork(1)
			words = goHTTP
			golang, _ := r.fork(1)
			clients := demo.Start(t.Context(), demo.Load{Address: address, Clients: 8}) // with less, one may win every race
			require.Eventually(t, func() bool { return len(clients.Snapshot().Answered) == 2 }, patience, time.Millisecond)
			stats := clients.Stop()
			require.Contains(t, stats.Answered, name(node[0]))
			require.Contains(t, stats.Answered, name(golang[0]))
			require.Empty(t, stats.Failures)
		})
	}
}
