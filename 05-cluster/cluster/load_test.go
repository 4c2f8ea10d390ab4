package cluster

import (
	"math/rand/v2"
	"os"
	"sync"
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
	accepted := r.followAccepts()
	_, address := r.fork(loadWorkers)
	crowd := visitors.Gather(t.Context(), address, loadVisitors, 0)
	deaths, returned := []time.Time{}, 0
	for range kills {
		r.truce(rand.N(60 * time.Millisecond))
		w := r.choose()
		w.Signal(syscall.SIGKILL)
		deaths = append(deaths, time.Now())
		returned += r.exitOf(w).Returned
	}
	met := crowd.Disperse()
	rungs := map[bool]int{}
	for _, cut := range met.CutOff {
		require.True(t, accepted(cut), "it was nobody's yet: %v", cut.Err)
		require.True(t, sometimes(deaths, cut.At), "cut off while nobody died: %v", cut.Err)
		rungs[cut.Half]++
	}
	require.Zero(t, met.Refused)
	require.Zero(t, met.Hung)
	require.LessOrEqual(t, len(met.CutOff), kills*loadVisitors)
	require.Greater(t, met.Visits(), kills)
	t.Logf("%d workers killed: of %d requests 0 were refused, 0 hung, 0 lost before a worker had accepted them "+
		"(%d came back from a dead worker), %d after it (L3), %d half-answered (L4); the longest wait was %v",
		kills, met.Visits(), returned, rungs[false], rungs[true], met.Longest.Round(time.Millisecond))
}

// followAccepts returns what tells whether a worker had accepted the connection of a
// visit that was cut off, in the second before.
func (r *rig) followAccepts() (accepted func(visitors.Cut) bool) {
	var mu sync.Mutex
	when := map[string]time.Time{} // by the visitor's address
	r.onAccept = func(_ *Worker, conn *os.File) {
		mu.Lock()
		defer mu.Unlock()
		when[peer(conn)] = time.Now()
	}
	return func(cut visitors.Cut) bool {
		mu.Lock()
		defer mu.Unlock()
		at, ok := when[cut.From]
		return ok && cut.At.Sub(at) < time.Second
	}
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

// sometimes reports whether a moment is within a second of one of these.
func sometimes(moments []time.Time, at time.Time) bool {
	for _, moment := range moments {
		if after := at.Sub(moment); after > -time.Second && after < time.Second {
			return true
		}
	}
	return false
}
