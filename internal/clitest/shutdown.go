package clitest

import (
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// StartServer starts a primary with these flags and two workers that serve the pages of
// package demo, and returns when they do.
type StartServer func(t *testing.T, worker string, server Server) (r *Running, workers []int)

// Server says how a primary is started.
type Server struct {
	Flags []string
	Env   []string // more of it
	Attr  *syscall.SysProcAttr
}

// neverDrained makes a primary wait for its workers' requests, however long they take.
var neverDrained = Server{Flags: []string{"-drain", Never.String()}}

// RequireEndWithSignal requires that every signal that ends the primary ends the idle
// workers with it, at once, and that nothing is left behind. It is a soak test.
func RequireEndWithSignal(t *testing.T, nodeWorker string, start StartServer) {
	for name, sig := range map[string]syscall.Signal{
		"SIGKILL": syscall.SIGKILL, "SIGTERM": syscall.SIGTERM, "SIGINT": syscall.SIGINT, "SIGHUP": syscall.SIGHUP,
	} {
		t.Run(name, func(t *testing.T) {
			Each(t, nodeWorker, func(t *testing.T, worker string) {
				for range Times(2, 50) {
					endWith(t, sig, start, worker)
				}
			})
		})
	}
}

func endWith(t *testing.T, sig syscall.Signal, start StartServer, worker string) {
	t.Helper()
	tmp := t.TempDir()
	r, workers := start(t, worker, Server{Env: []string{"TMPDIR=" + tmp}})
	require.NoError(t, r.Process.Signal(sig))
	r.RequireEndWith(workers)
	if sig == syscall.SIGKILL {
		require.Equal(t, -1, r.ProcessState.ExitCode())
	} else {
		require.Zero(t, r.ProcessState.ExitCode())
	}
	left, err := os.ReadDir(tmp)
	require.NoError(t, err)
	require.Empty(t, left)
}

// RequireEndWhileBusy requires that workers that serve requests end with their primary, too:
// after -drain if it drains, and after half a second if it is killed.
func RequireEndWhileBusy(t *testing.T, nodeWorker string, start StartServer) {
	t.Run("killed", func(t *testing.T) {
		t.Parallel()
		r, workers := start(t, "", Server{})
		short, long := r.Begin("/slow?ms=100"), r.Begin("/slow?ms=60000")
		require.NoError(t, r.Process.Kill())
		require.Regexp(t, `worker \d+`, short())
		require.Equal(t, "unexpected EOF", long())
		r.RequireEndWith(workers)
	})
	t.Run("killed while it drains", func(t *testing.T) {
		t.Parallel()
		r, workers := start(t, "", neverDrained)
		r.Begin("/slow?ms=60000")
		require.NoError(t, r.Process.Signal(syscall.SIGTERM))
		RequireRefused(t, r.Address) // every process has closed the socket
		require.NoError(t, r.Process.Kill())
		r.RequireEndWith(workers)
	})
	t.Run("too long", func(t *testing.T) { // the log and the exit code say so
		Each(t, nodeWorker, func(t *testing.T, worker string) {
			const drain = time.Second
			r, workers := start(t, worker, Server{Flags: []string{"-drain", drain.String()}})
			finished := r.Begin("/slow?ms=60000")
			begun := time.Now()
			require.NoError(t, r.Process.Signal(syscall.SIGTERM))
			require.Equal(t, "unexpected EOF", finished())
			require.GreaterOrEqual(t, time.Since(begun), drain)
			out := r.End()
			r.RequireEndWith(workers)
			require.NotContains(t, out, "signal killed") // SIGTERM was enough
			require.Regexp(t, `1 request was cut off|requests that were cut off: 1|was to leave, and was killed`, out)
			require.Contains(t, out, "1 worker did not finish in time")
			require.Equal(t, 1, r.ProcessState.ExitCode())
		})
	})
}

// RequireEndWithAll requires that SIGTERM to the primary and its workers, as from systemd or
// pkill, cuts off no request.
func RequireEndWithAll(t *testing.T, worker string, start StartServer) {
	t.Helper()
	r, workers := start(t, worker, neverDrained)
	finished := r.Begin("/slow?ms=1000")
	require.NoError(t, r.Process.Signal(syscall.SIGTERM))
	RequireRefused(t, r.Address) // every process leaves
	for _, pid := range workers {
		syscall.Kill(pid, syscall.SIGTERM)
	}
	require.Regexp(t, `worker \d+`, finished())
	r.RequireEndWith(workers)
	require.Zero(t, r.ProcessState.ExitCode())
}

// RequireEndWithInterrupt requires that Ctrl-C reaches the primary alone, though a terminal
// sends it to all foreground processes, and that a second Ctrl-C ends the primary at once.
func RequireEndWithInterrupt(t *testing.T, nodeWorker string, start StartServer) {
	t.Run("from a terminal", func(t *testing.T) {
		Each(t, nodeWorker, func(t *testing.T, worker string) {
			r, workers := start(t, worker, Server{Attr: &syscall.SysProcAttr{Setpgid: true}})
			finished := r.Begin("/slow?ms=300")
			require.NoError(t, syscall.Kill(-r.Process.Pid, syscall.SIGINT))
			require.Regexp(t, `worker \d+`, finished())
			r.RequireEndWith(workers)
			require.Zero(t, r.ProcessState.ExitCode())
		})
	})
	t.Run("twice", func(t *testing.T) {
		t.Parallel()
		r, workers := start(t, "", neverDrained)
		r.Begin("/slow?ms=60000")
		require.NoError(t, r.Process.Signal(os.Interrupt))
		r.Await("stopping")
		Eventually(t, func() bool { // at once it would still be the first one
			r.Process.Signal(os.Interrupt)
			return r.Ended()
		})
		r.RequireEndWith(workers)
		require.Equal(t, syscall.SIGINT, r.ProcessState.Sys().(syscall.WaitStatus).Signal())
	})
}
