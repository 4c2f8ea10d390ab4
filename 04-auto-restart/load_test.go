package main

import (
	"context"
	"math/rand/v2"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/program"
	"playing-with-processes/internal/programtest"
	"playing-with-processes/internal/restart"
	"playing-with-processes/internal/visitors"
)

const (
	loadWorkers  = 3
	loadVisitors = 8
)

// herd is the workers of a primary that runs in this process.
type herd struct {
	t       *testing.T
	address string
	ready   chan int
	changes chan restart.Circuit
	circuit restart.Circuit
	pids    []int // ready, and not yet chosen
	crowd   *visitors.Crowd
}

// raise starts a primary with these workers, under load: each visit is a new
// connection, one after the other without a rest, and none is tried twice.
func raise(t *testing.T, worker string, policy restart.Policy) *herd {
	t.Helper()
	say = programtest.ForkSelf(t)
	p, err := newPrimary("127.0.0.1:0", loadWorkers, func() *exec.Cmd { return command(worker) })
	require.NoError(t, err)
	h := &herd{t: t, address: p.listener.Addr().String(), ready: make(chan int, 1000), changes: make(chan restart.Circuit, 1000)}
	p.policy = policy
	p.pool = restart.New(policy, loadWorkers, time.Now())
	p.onReady = func(pid int) { h.ready <- pid }
	p.onCircuit = func(c restart.Circuit) { h.changes <- c }

	ctx, stop := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() { p.run(ctx) })
	t.Cleanup(func() {
		stop()
		ended.Wait()
	})
	for range loadWorkers {
		h.pids = append(h.pids, <-h.ready)
	}
	h.crowd = visitors.Gather(t.Context(), h.address, loadVisitors, 0)
	return h
}

// choose takes a random worker, at a random moment. While restarts are suspended
// there is a truce.
func (h *herd) choose() (pid int) {
	moment := time.After(rand.N(60 * time.Millisecond))
	for moment != nil || h.circuit != restart.Closed || len(h.pids) == 0 {
		select {
		case pid := <-h.ready:
			h.pids = append(h.pids, pid)
		case h.circuit = <-h.changes:
		case <-moment:
			moment = nil
		}
	}
	i := rand.IntN(len(h.pids))
	pid = h.pids[i]
	h.pids = slices.Delete(h.pids, i, i+1)
	return pid
}

// end requires that nobody was refused or hung, and that visitors were cut off only
// where a worker died, at one of these moments; it returns what they have met.
func (h *herd) end(deaths []time.Time) visitors.Tally {
	h.t.Helper()
	met := h.crowd.Disperse()
	require.Zero(h.t, met.Refused)
	require.Zero(h.t, met.Hung)
	for _, cut := range met.CutOff {
		require.True(h.t, slices.ContainsFunc(deaths, func(death time.Time) bool {
			after := cut.At.Sub(death)
			return after > -time.Second && after < time.Second
		}), "cut off while nobody died: %v", cut.Err)
	}
	require.LessOrEqual(h.t, len(met.CutOff), len(deaths)*loadVisitors)
	require.Greater(h.t, met.Visits(), len(deaths))
	return met
}

// patient is a policy whose limits nobody meets: it is not the brake that is tried.
func patient() restart.Policy {
	policy := restart.Default(loadWorkers)
	policy.Restarts = 1000
	policy.MaxPause = time.Millisecond
	return policy
}

// A worker that is killed takes with it whom it is serving, and nobody else.
func TestSoakKills(t *testing.T) {
	testKills(t, "", patient(), programtest.Times(20, 100))
}

func TestSoakNodeKills(t *testing.T) {
	programtest.NeedNode(t)
	testKills(t, nodeWorker, patient(), programtest.Times(10, 100))
}

// With the policy as it is the brake is felt: connections wait.
func TestSoakKillsAndBrake(t *testing.T) {
	policy := restart.Default(loadWorkers)
	kills := programtest.Times(policy.Restarts+5, 100)
	if kills < 100 { // the brake, in short
		policy.Period, policy.StableAfter = policy.Period/5, policy.StableAfter/5
	}
	testKills(t, "", policy, kills)
}

func testKills(t *testing.T, worker string, policy restart.Policy, kills int) {
	h := raise(t, worker, policy)
	var deaths []time.Time
	for range kills {
		require.NoError(t, syscall.Kill(h.choose(), syscall.SIGKILL))
		deaths = append(deaths, time.Now())
	}
	met := h.end(deaths)
	t.Logf("%d workers killed: of %d requests %d failed, 0 refused, 0 hung; the longest wait was %s",
		kills, met.Visits(), len(met.CutOff), program.Short(met.Longest))
}

// Who asks to be replaced costs nobody an answer.
func TestSoakRetires(t *testing.T) {
	testRetires(t, "", programtest.Times(20, 100))
}

func TestSoakNodeRetires(t *testing.T) {
	programtest.NeedNode(t)
	testRetires(t, nodeWorker, programtest.Times(10, 100))
}

func testRetires(t *testing.T, worker string, retires int) {
	h := raise(t, worker, patient())
	for range retires {
		require.NoError(t, syscall.Kill(h.choose(), syscall.SIGTERM))
	}
	for len(h.pids) < loadWorkers { // each is replaced
		h.pids = append(h.pids, <-h.ready)
	}
	met := h.end(nil)
	require.Empty(t, met.CutOff)
	t.Logf("%d workers retired: of %d requests 0 failed; the longest wait was %s",
		retires, met.Visits(), program.Short(met.Longest))
}
