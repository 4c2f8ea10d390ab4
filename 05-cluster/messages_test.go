package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/05-cluster/cluster"
	"playing-with-processes/internal/clitest"
)

// seatings are the command lines of Go and Node as the primary of both, with two workers.
func seatings(t *testing.T, every string) map[string][]string {
	t.Helper()
	node := []string{"env", "EVERY=" + every, "node", "node/primary.js", "0", "2"}
	return map[string][]string{
		"Go, Go":     commandLine(t, "", "-n", "2", "-every", every+"ms"),
		"Go, Node":   commandLine(t, nodeWorker, "-n", "2", "-every", every+"ms"),
		"Node, Go":   append(node, clitest.Self(t)),
		"Node, Node": node,
	}
}

// /count must answer how many requests all workers have had, and the job must run in slot 0,
// whether the primary and the workers are Go or Node.
func TestMessages(t *testing.T) {
	t.Parallel()
	for pair, words := range seatings(t, "100") {
		t.Run(pair, func(t *testing.T) {
			if strings.Contains(pair, "Node") {
				clitest.NeedNode(t)
			}
			t.Parallel()
			r := clitest.LaunchCommand(t, clitest.Command(t, words...))
			answers := map[string]bool{}
			requests := 0
			for ; len(answers) < 2; requests++ {
				answers[r.Get("/")] = true
			}
			// The other worker's message may be on its way.
			clitest.Eventually(t, func() bool {
				requests++
				return r.Get("/count") == fmt.Sprintf("requests: %d", requests)
			})
			r.Await(`job \d+ runs here alone, in slot 0`)
			r.Await(`job \d+ runs here alone, in slot 0`)
			require.NotContains(t, r.Stop(), "in slot 1")
		})
	}
}

// Through reloads, the job must run once in each period. After a kill -9 of slot 0, at most one may
// be missing.
func TestEvery(t *testing.T) {
	for pair, worker := range map[string]string{"Go, Go": "", "Go, Node": nodeWorker} {
		t.Run(pair, func(t *testing.T) {
			if worker != "" {
				clitest.NeedNode(t)
			}
			t.Parallel()
			const kills = 2
			// A replacement must be there in less than a period, after a pause and its start.
			period := max(500*time.Millisecond, clitest.Enough(t, 400))
			r := clitest.LaunchCommand(t, clitest.Command(t, commandLine(t, worker, "-n", "2", "-every", period.String())...))
			for range 2 {
				require.NoError(t, r.Process.Signal(syscall.SIGUSR2))
				r.Await(`reload: all workers are new`)
			}
			requireJobs(t, r.Output(), 0)
			for range kills {
				last := r.Await(`\[worker \d+\] job \d+ runs here`)
				pid := regexp.MustCompile(`\[worker (\d+)\]`).FindStringSubmatch(last)
				require.NoError(t, syscall.Kill(clitest.PIDIn(t, "worker "+pid[1]), syscall.SIGKILL))
				r.Await(`worker \d+ .*\(signal killed\)`)
			}
			r.Await(`\[worker \d+\] job \d+ runs here`)
			requireJobs(t, r.Output(), kills)
			r.Stop()
		})
	}
}

// A job that its worker may have begun must not be given again.
func TestJobNotGivenAgain(t *testing.T) {
	for _, exit := range []cluster.ExitStatus{{Code: 2}, {Signal: syscall.SIGTERM}, {Signal: syscall.SIGKILL}} {
		w := new(cluster.Worker)
		s := schedule{job: 1, due: true, given: w, heard: true}
		s.handleEvent(cluster.Exit{Worker: w, Exit: exit, AfterDisconnect: true})
		require.False(t, s.due, exit)
		require.Nil(t, s.given)
	}
}

// requireJobs requires that the jobs ran in order, each once, but for some that are missing.
func requireJobs(t *testing.T, output string, missing int) {
	t.Helper()
	last := 0
	for _, found := range regexp.MustCompile(`job (\d+) runs here`).FindAllStringSubmatch(output, -1) {
		number, err := strconv.Atoi(found[1])
		require.NoError(t, err)
		require.Greater(t, number, last, "it ran twice, or too late")
		missing -= number - last - 1
		last = number
	}
	require.GreaterOrEqual(t, missing, 0, "too many are missing")
}
