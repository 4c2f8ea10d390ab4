package cluster

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/programtest"
	"playing-with-processes/internal/visitors"
)

// Nobody notices a reload: no request fails of visitors who try nothing twice.
func TestSoakReload(t *testing.T) {
	each(t, func(t *testing.T, worker []string) {
		for _, policy := range Policies() {
			t.Run(string(policy), func(t *testing.T) {
				met := reloadUnderLoad(t, policy, worker, 0, visitors.Gather)
				if policy == None && worker[0] == "node" && nodeMajor(t) >= 26 {
					return // it drops who has just connected, and nobody can keep it from accepting
				}
				require.Empty(t, met.CutOff)
			})
		}
	})
}

// nodeMajor is the version of Node.
func nodeMajor(t *testing.T) int {
	text, err := exec.Command("node", "-p", "parseInt(process.versions.node)").Output()
	require.NoError(t, err)
	major, err := strconv.Atoi(strings.TrimSpace(string(text)))
	require.NoError(t, err)
	return major
}

// Nor do those who keep their connections. Each answer of a worker that leaves is the last
// on its connection.
func TestSoakReloadRegulars(t *testing.T) {
	t.Parallel()
	for _, policy := range Policies() {
		t.Run(string(policy), func(t *testing.T) {
			met := reloadUnderLoad(t, policy, goHTTP, 0, visitors.GatherRegulars)
			require.Empty(t, met.CutOff)
		})
	}
}

// Node closes the connections that are idle when it is to leave, though a request may be
// on its way, and answers the others until the deadline without a word about the end:
// whoever has kept a connection may lose a request, and nobody else.
func TestSoakNodeReloadRegulars(t *testing.T) {
	programtest.NeedNode(t)
	t.Parallel()
	for _, policy := range Policies() {
		t.Run(string(policy), func(t *testing.T) {
			met := reloadUnderLoad(t, policy, nodeHTTP, time.Second, visitors.GatherRegulars)
			for _, cut := range met.CutOff {
				require.True(t, cut.Again, "on the first request of a connection: %v", cut.Err)
			}
		})
	}
}

// reloadUnderLoad reloads again and again while so many requests are made.
func reloadUnderLoad(t *testing.T, policy Policy, worker []string, drain time.Duration, gather func(context.Context, string, int, time.Duration) *visitors.Crowd) visitors.Tally {
	t.Helper()
	requests := programtest.Times(1_000, 50_000)
	r := raise(t, Settings{Policy: policy, DrainTimeout: drain}, worker...)
	_, address := r.fork(loadWorkers)
	crowd := gather(t.Context(), address, loadVisitors, 0)
	reloads := 0
	for crowd.Sofar().Visits() < requests || reloads == 0 {
		require.NoError(t, r.Reload(t.Context()))
		reloads++
	}
	met := crowd.Disperse()
	require.Zero(t, met.Refused)
	require.Zero(t, met.Hung)
	t.Logf("%d reloads of %d workers: %d requests, %d failed; the longest wait was %v",
		reloads, loadWorkers, met.Visits(), len(met.CutOff), met.Longest.Round(time.Millisecond))
	if len(met.CutOff) > 0 {
		t.Log(fmt.Sprint("the first: ", met.CutOff[0].Err))
	}
	return met
}
