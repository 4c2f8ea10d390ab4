package cluster

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
	"playing-with-processes/internal/demo"
)

// No request may fail because of a reload, though the clients repeat no request.
func TestSoakReload(t *testing.T) {
	eachWorker(t, func(t *testing.T, worker []string) {
		for _, policy := range Policies() {
			t.Run(string(policy), func(t *testing.T) {
				if worker[0] == "node" && policy != RoundRobin {
					clitest.NeedSoak(t)
				}
				stats := reloadUnderLoad(t, policy, worker, 0, false)
				if policy == None && worker[0] == "node" && nodeMajor(t) >= 26 {
					return // it accepts connections itself, and drops new ones when it is asked to leave
				}
				require.Empty(t, stats.Failures)
			})
		}
	})
}

// nodeMajor returns the major version of Node.
func nodeMajor(t *testing.T) int {
	text, err := exec.Command("node", "-p", "parseInt(process.versions.node)").Output()
	require.NoError(t, err)
	major, err := strconv.Atoi(strings.TrimSpace(string(text)))
	require.NoError(t, err)
	return major
}

// The same holds for clients that keep their connections. Each answer of a worker that
// leaves must be the last of its connection.
func TestSoakReloadKeepAlive(t *testing.T) {
	t.Parallel()
	for _, policy := range Policies() {
		t.Run(string(policy), func(t *testing.T) {
			stats := reloadUnderLoad(t, policy, goHTTP, 0, true)
			require.Empty(t, stats.Failures)
		})
	}
}

// A Node worker that is asked to leave closes idle connections, though a request may be
// on its way, and does not announce the end of the others: only a request on a connection
// that was kept may fail.
func TestSoakNodeReloadKeepAlive(t *testing.T) {
	clitest.NeedNode(t)
	t.Parallel()
	for _, policy := range Policies() {
		t.Run(string(policy), func(t *testing.T) {
			if policy != RoundRobin {
				clitest.NeedSoak(t)
			}
			stats := reloadUnderLoad(t, policy, nodeHTTP, time.Second, true)
			for _, failure := range stats.Failures {
				require.True(t, failure.Reused, "on the first request of a connection: %v", failure.Err)
			}
		})
	}
}

// reloadUnderLoad reloads again and again while clients make requests.
func reloadUnderLoad(t *testing.T, policy Policy, worker []string, drain time.Duration, keepAlive bool) demo.Stats {
	t.Helper()
	requests := clitest.Times(300, 50_000)
	h := startPrimary(t, Settings{Policy: policy, DrainTimeout: drain}, worker...)
	_, address := h.fork(loadWorkers)
	clients := demo.Start(t.Context(), demo.Load{Address: address, Clients: loadClients, Rest: clitest.Rest(), KeepAlive: keepAlive})
	reloads := 0
	for clients.Snapshot().Requests() < requests || reloads == 0 {
		require.NoError(t, h.Reload(t.Context()))
		reloads++
	}
	stats := clients.Stop()
	require.Zero(t, stats.Refused)
	require.Zero(t, stats.Hung)
	t.Logf("%d reloads of %d workers: %d requests, %d failed; the longest wait was %v",
		reloads, loadWorkers, stats.Requests(), len(stats.Failures), stats.Longest.Round(time.Millisecond))
	if len(stats.Failures) > 0 {
		t.Log(fmt.Sprint("the first: ", stats.Failures[0].Err))
	}
	return stats
}
