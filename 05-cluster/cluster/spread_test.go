package cluster

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
	"playing-with-processes/internal/demo"
)

// One after the other, requests must be spread exactly evenly.
func TestSpreadSequential(t *testing.T) {
	eachWorker(t, func(t *testing.T, worker []string) {
		const workers = 4
		requests := clitest.Times(200, 1000)
		h := startPrimary(t, Settings{Policy: RoundRobin}, worker...)
		all, address := h.fork(workers)
		answered := map[string]int{}
		for range requests {
			answered[get(t, "tcp", address)]++
			h.awaitIdle(workers) // the client may have the answer first
		}
		for _, w := range all {
			require.Equal(t, requests/workers, answered[w.String()])
		}
	})
}

// Side by side, a slower worker gets fewer requests, but at least half of an even share.
func TestSpreadParallel(t *testing.T) {
	eachWorker(t, func(t *testing.T, worker []string) {
		const clients, workers = 20, 4
		requests := clitest.Times(1000, 2000)
		h := startPrimary(t, Settings{Policy: RoundRobin}, worker...)
		all, address := h.fork(workers)
		var mu sync.Mutex
		answered := map[string]int{}
		var done sync.WaitGroup
		for range clients {
			done.Go(func() {
				for range requests / clients {
					answer := get(t, "tcp", address)
					mu.Lock()
					answered[answer]++
					mu.Unlock()
				}
			})
		}
		done.Wait()
		t.Logf("%d requests, %d at a time: %v", requests, clients, answered)
		for _, w := range all {
			require.GreaterOrEqual(t, answered[w.String()], requests/workers/2)
		}
	})
}

// awaitIdle waits until all workers of the port are idle.
func (h *harness) awaitIdle(workers int) {
	h.t.Helper()
	d := h.dispatcher()
	clitest.Eventually(h.t, func() bool {
		d.changed.L.Lock()
		defer d.changed.L.Unlock()
		return len(d.ready()) == workers && d.pending == 0
	})
}

// Go and Node workers must share one port.
func TestMixedWorkers(t *testing.T) {
	eachNodePolicy(t, func(t *testing.T, policy Policy) {
		h, setCommand := startChanging(t, Settings{Policy: policy}, nodeHTTP...)
		node, address := h.fork(1)
		setCommand(goHTTP...)
		golang, _ := h.fork(1)
		// With fewer clients, one worker may win every race.
		clients := demo.Start(t.Context(), demo.Load{Address: address, Clients: 8})
		clitest.Eventually(t, func() bool { return len(clients.Snapshot().Answered) == 2 })
		stats := clients.Stop()
		require.Contains(t, stats.Answered, node[0].String())
		require.Contains(t, stats.Answered, golang[0].String())
		require.Empty(t, stats.Failures)
	})
}
