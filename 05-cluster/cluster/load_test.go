package cluster

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/programtest"
	"playing-with-processes/internal/restart"
	"playing-with-processes/internal/visitors"
)

const (
	loadWorkers  = 3
	loadVisitors = 8
)

// A worker that is killed takes with it whom it has accepted, and nobody else.
func TestSoakKills(t *testing.T) {
	testKills(t, goHTTP, patient(), programtest.Times(20, 100))
}

func TestSoakNodeKills(t *testing.T) {
	programtest.NeedNode(t)
	testKills(t, nodeHTTP, patient(), programtest.Times(10, 100))
}

// With the policy as it is the brake is felt: connections wait.
func TestSoakKillsAndBrake(t *testing.T) {
	policy := restart.Default(0)
	kills := programtest.Times(loadWorkers*restart.RestartsPerWorker+5, 100)
	if kills < 100 { // the brake, in short
		policy.Period, policy.StableAfter = policy.Period/5, policy.StableAfter/5
	}
	testKills(t, goHTTP, policy, kills)
}

func testKills(t *testing.T, worker []string, policy restart.Policy, kills int) {
	t.Parallel()
	r := raise(t, Settings{Restart: &policy, QueueTimeout: time.Minute}, worker...)
	fates := r.followFates()
	_, address := r.fork(loadWorkers)
	crowd := visitors.Gather(t.Context(), address, loadVisitors, 0)
	returned := 0
	for range kills {
		r.truce(rand.N(60 * time.Millisecond))
		w := r.choose()
		w.Signal(syscall.SIGKILL)
		returned += r.exitOf(w).Returned
	}
	met := crowd.Disperse()
	require.LessOrEqual(t, met.Failed(), kills*loadVisitors)
	require.Greater(t, met.Visits(), kills)
	t.Logf("%d workers killed, %d connections came back from them: %s", kills, returned, fates.explain(t, met))
}

// truce waits for so long, and until restarts go on and somebody serves.
func (r *rig) truce(pause time.Duration) {
	time.Sleep(pause)
	require.Eventually(r.t, func() bool { return r.choose() != nil }, time.Minute, time.Millisecond)
}

// choose is any worker that serves, or nil while restarts are suspended.
func (r *rig) choose() (chosen *Worker) {
	r.Primary.mu.Lock()
	defer r.Primary.mu.Unlock()
	if r.pool.Circuit(time.Now()) != restart.Closed {
		return nil
	}
	for _, w := range r.workers { // in random order
		if w.ready && len(w.ports) > 0 {
			chosen = w
		}
	}
	return chosen
}
