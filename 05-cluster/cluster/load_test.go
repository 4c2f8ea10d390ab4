package cluster

import (
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
	"playing-with-processes/internal/demo"
	"playing-with-processes/internal/restart"
)

const (
	loadWorkers = 3
	loadClients = 8
)

// Only the connections that a worker has accepted may be lost when it is killed.
func TestSoakKills(t *testing.T) {
	testKills(t, goHTTP, restartAtOnce(), clitest.Times(20, 100))
}

func TestSoakNodeKills(t *testing.T) {
	clitest.NeedNode(t)
	testKills(t, nodeHTTP, restartAtOnce(), clitest.Times(10, 100))
}

// With the default policy, restarts are suspended now and then, and connections must
// wait.
func TestSoakKillsAndSuspensions(t *testing.T) {
	policy := restart.Default(0)
	kills := clitest.Times(loadWorkers*restart.RestartsPerWorker+5, 100)
	if kills < 100 { // the suspensions, in short
		policy.Period, policy.StableAfter = policy.Period/5, policy.StableAfter/5
	}
	testKills(t, goHTTP, &policy, kills)
}

func testKills(t *testing.T, worker []string, policy *restart.Policy, kills int) {
	t.Parallel()
	settings := Settings{Restart: policy}
	outcomes := trackOutcomes(&settings)
	h := startPrimary(t, settings, worker...)
	_, address := h.fork(loadWorkers)
	clients := demo.Start(t.Context(), demo.Load{Address: address, Clients: loadClients, Rest: clitest.Rest()})
	returned := 0
	for range kills {
		h.awaitListening(rand.N(60 * time.Millisecond))
		w := h.randomListening()
		w.Signal(syscall.SIGKILL)
		returned += h.exitOf(w).Returned
	}
	stats := clients.Stop()
	require.LessOrEqual(t, stats.Failed(), kills*loadClients)
	require.Greater(t, stats.Requests(), kills)
	t.Logf("%d workers killed, %d connections returned: %s", kills, returned, outcomes.explain(t, stats))
}

// awaitListening waits for a pause, and until restarts are on and a worker listens.
func (h *harness) awaitListening(pause time.Duration) {
	time.Sleep(pause)
	clitest.Eventually(h.t, func() bool { return h.randomListening() != nil })
}

// randomListening returns a random worker that listens, or nil while restarts are
// suspended.
func (h *harness) randomListening() *Worker {
	status := h.QuickStatus()
	if status.Restarting != "on" {
		return nil
	}
	listening := map[int]bool{}
	for _, w := range status.Workers {
		listening[w.ID] = w.State == "listening"
	}
	workers := slices.DeleteFunc(h.Workers(), func(w *Worker) bool { return !listening[w.ID()] })
	if len(workers) == 0 {
		return nil
	}
	return workers[rand.IntN(len(workers))]
}
