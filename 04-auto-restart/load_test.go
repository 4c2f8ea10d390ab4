package main

import (
	"context"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/cli"
	"playing-with-processes/internal/clitest"
	"playing-with-processes/internal/demo"
	"playing-with-processes/internal/restart"
	"playing-with-processes/internal/supervise"
)

const (
	loadWorkers = 3
	loadClients = 8
)

// loadedPrimary is a primary in this process. Its workers are under load.
type loadedPrimary struct {
	t       *testing.T
	events  chan supervise.Event
	state   restart.State
	pids    []int // of the workers that are ready and were not chosen yet
	clients *demo.Clients
}

// startLoaded starts a primary and clients. Each request is made on a new connection, one
// after the other without a rest, and none is repeated.
func startLoaded(t *testing.T, worker string, policy restart.Policy) *loadedPrimary {
	t.Helper()
	t.Parallel()
	o := options{n: loadWorkers, command: inProcess(t, worker), policy: policy, ready: clitest.Never, drain: clitest.Never}
	server, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &loadedPrimary{t: t, events: make(chan supervise.Event, 10_000)}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		keepServing(ctx, server, o, func(e supervise.Event) {
			t.Log(e)
			p.events <- e
		})
	})
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	for len(p.pids) < loadWorkers {
		p.handle(<-p.events)
	}
	p.clients = demo.Start(t.Context(), demo.Load{Address: server.Addr().String(), Clients: loadClients, Rest: clitest.Rest()})
	return p
}

func (p *loadedPrimary) handle(e supervise.Event) {
	switch e := e.(type) {
	case supervise.Ready:
		p.pids = append(p.pids, e.Worker.Pid())
	case supervise.Restarts:
		p.state = e.State
	}
}

// choose returns a random worker, at a random moment. It waits while restarts are
// suspended.
func (p *loadedPrimary) choose() (pid int) {
	moment := time.After(rand.N(60 * time.Millisecond))
	for moment != nil || p.state != restart.On || len(p.pids) == 0 {
		select {
		case e := <-p.events:
			p.handle(e)
		case <-moment:
			moment = nil
		}
	}
	i := rand.IntN(len(p.pids))
	pid = p.pids[i]
	p.pids = slices.Delete(p.pids, i, i+1)
	return pid
}

// stop stops the clients. It requires that no connection was refused or hung, and that
// requests failed only when a worker died, at one of these moments.
func (p *loadedPrimary) stop(deaths []time.Time) demo.Stats {
	p.t.Helper()
	moment := clitest.Enough(p.t, 300) // a client may notice the death later than it happened
	stats := p.clients.Stop()
	require.Zero(p.t, stats.Refused)
	require.Zero(p.t, stats.Hung)
	for _, failure := range stats.Failures {
		require.True(p.t, slices.ContainsFunc(deaths, func(death time.Time) bool {
			after := failure.At.Sub(death)
			return after > 0 && after < moment
		}), "a request failed while no worker died: %v", failure.Err)
	}
	require.LessOrEqual(p.t, len(stats.Failures), len(deaths)*loadClients)
	require.Greater(p.t, stats.Requests(), len(deaths))
	return stats
}

// unlimited returns a policy that neither suspends nor delays restarts.
func unlimited() restart.Policy {
	policy := restart.Default(loadWorkers)
	policy.Restarts = 1000
	policy.MaxPause = time.Millisecond
	return policy
}

// When a worker is killed, only the requests that it is serving fail.
func TestSoakKills(t *testing.T) {
	testKills(t, "", unlimited(), clitest.Times(20, 100))
}

func TestSoakNodeKills(t *testing.T) {
	clitest.NeedNode(t)
	testKills(t, nodeWorker, unlimited(), clitest.Times(10, 100))
}

// The same holds under the default policy, which suspends restarts: connections wait.
func TestSoakKillsAndSuspensions(t *testing.T) {
	policy := restart.Default(loadWorkers)
	kills := clitest.Times(policy.Restarts+5, 100)
	if kills < 100 { // shorter suspensions
		policy.Period, policy.StableAfter = policy.Period/5, policy.StableAfter/5
	}
	testKills(t, "", policy, kills)
}

func testKills(t *testing.T, worker string, policy restart.Policy, kills int) {
	p := startLoaded(t, worker, policy)
	var deaths []time.Time
	for range kills {
		pid := p.choose()
		deaths = append(deaths, time.Now())
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	}
	stats := p.stop(deaths)
	t.Logf("%d workers killed: of %d requests %d failed, 0 refused, 0 hung; the longest wait was %s",
		kills, stats.Requests(), len(stats.Failures), cli.FormatDuration(stats.Longest))
}

// When a worker asks to be replaced, no request fails.
func TestSoakRetires(t *testing.T) {
	testRetires(t, "", clitest.Times(20, 100))
}

func TestSoakNodeRetires(t *testing.T) {
	clitest.NeedNode(t)
	testRetires(t, nodeWorker, clitest.Times(10, 100))
}

func testRetires(t *testing.T, worker string, retires int) {
	p := startLoaded(t, worker, unlimited())
	for range retires {
		require.NoError(t, syscall.Kill(p.choose(), syscall.SIGTERM))
	}
	for len(p.pids) < loadWorkers { // each is replaced
		p.handle(<-p.events)
	}
	stats := p.stop(nil)
	require.Empty(t, stats.Failures)
	t.Logf("%d workers retired: of %d requests 0 failed; the longest wait was %s",
		retires, stats.Requests(), cli.FormatDuration(stats.Longest))
}
