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

// A worker that is killed takes with it whom it has accepted, and nobody else.
func TestSoakKills(t *testing.T) {
	testKills(t, goHTTP, patient(), clitest.Times(20, 100))
}

func TestSoakNodeKills(t *testing.T) {
	clitest.NeedNode(t)
	testKills(t, nodeHTTP, patient(), clitest.Times(10, 100))
}

// With the policy as it is the brake is felt: connections wait.
func TestSoakKillsAndBrake(t *testing.T) {
	policy := restart.Default(0)
	kills := clitest.Times(loadWorkers*restart.RestartsPerWorker+5, 100)
	if kills < 100 { // the brake, in short
		policy.Period, policy.StableAfter = policy.Period/5, policy.StableAfter/5
	}
	testKills(t, goHTTP, policy, kills)
}

func testKills(t *testing.T, worker []string, policy restart.Policy, kills int) {
	t.Parallel()
	settings := Settings{Restart: &policy, QueueTimeout: time.Minute}
	fates := followFates(&settings)
	r := startPrimary(t, settings, worker...)
	_, address := r.fork(loadWorkers)
	clients := demo.Start(t.Context(), demo.Load{Address: address, Clients: loadClients})
	returned := 0
	for range kills {
		r.truce(rand.N(60 * time.Millisecond))
		w := r.choose()
		w.Signal(syscall.SIGKILL)
		returned += r.exitOf(w).Returned
	}
	stats := clients.Stop()
	require.LessOrEqual(t, stats.Failed(), kills*loadClients)
	require.Greater(t, stats.Requests(), kills)
	t.Logf("%d workers killed, %d connections came back from them: %s", kills, returned, fates.explain(t, stats))
}

// truce waits for so long, and until restarts go on and somebody serves.
func (r *harness) truce(pause time.Duration) {
	time.Sleep(pause)
	require.Eventually(r.t, func() bool { return r.choose() != nil }, time.Minute, time.Millisecond)
}

// choose returns a random worker that listens, or nil while restarts are suspended.
func (r *harness) choose() *Worker {
	status := r.Primary.status()
	if status.Restarting != "on" {
		return nil
	}
	listening := map[int]bool{}
	for _, w := range status.Workers {
		listening[w.ID] = w.State == "listening"
	}
	workers := slices.DeleteFunc(r.Workers(), func(w *Worker) bool { return !listening[w.ID()] })
	if len(workers) == 0 {
		return nil
	}
	return workers[rand.IntN(len(workers))]
}
