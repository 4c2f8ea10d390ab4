package clitest

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Each runs a test side by side with Go workers, whose command line is "", and with Node
// workers, whose command line is nodeWorker.
func Each(t *testing.T, nodeWorker string, test func(t *testing.T, worker string)) {
	t.Parallel()
	t.Run("Go", func(t *testing.T) {
		t.Parallel()
		test(t, "")
	})
	t.Run("Node", func(t *testing.T) {
		NeedNode(t)
		t.Parallel()
		test(t, nodeWorker)
	})
}

// Script writes a shell script, which exists until the end of the test, and returns the
// command line that runs it as a worker.
func Script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "worker.sh")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return "sh " + path
}

// PIDIn returns the pid in an answer of package demo's server.
func PIDIn(t *testing.T, answer string) int {
	t.Helper()
	pid, err := strconv.Atoi(strings.TrimPrefix(answer, "worker "))
	require.NoError(t, err)
	return pid
}

// RequireEndWith waits for the end of the primary. It requires that a second later its
// workers have ended, too, and the port is free.
func (r *Running) RequireEndWith(workers []int) {
	r.t.Helper()
	r.Wait()
	for _, pid := range workers {
		require.Eventually(r.t, func() bool {
			syscall.Wait4(pid, nil, syscall.WNOHANG, nil) // on Linux this process adopts them
			return syscall.Kill(pid, 0) == syscall.ESRCH
		}, time.Second, time.Millisecond, "worker %d has outlived its primary", pid)
	}
	listener, err := net.Listen("tcp", r.Address)
	require.NoError(r.t, err)
	require.NoError(r.t, listener.Close())
}
