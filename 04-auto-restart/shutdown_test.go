package main

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
	"playing-with-processes/internal/supervise"
)

// The workers end with their primary, whatever ends it.
func TestSoakEndWithPrimary(t *testing.T) { clitest.RequireEndWithSignal(t, nodeWorker, startTwo) }

func TestEndWithPrimary(t *testing.T) {
	t.Parallel()
	clitest.RequireEndWhileBusy(t, nodeWorker, startTwo)
	clitest.RequireEndWithInterrupt(t, nodeWorker, startTwo)
	t.Run("SIGTERM to all", func(t *testing.T) {
		clitest.Each(t, nodeWorker, func(t *testing.T, worker string) { clitest.RequireEndWithAll(t, worker, startTwo) })
	})
}

// While the primary is stopped, as by Ctrl-Z, the workers serve on. When it continues, it
// counts no heartbeat as missed.
func TestStoppedPrimary(t *testing.T) {
	t.Parallel()
	r, _ := startTwo(t, "", clitest.Server{})
	require.NoError(t, r.Process.Signal(syscall.SIGSTOP))
	r.Get("/slow?ms=5000") // longer than a heartbeat may be missed
	require.NoError(t, r.Process.Signal(syscall.SIGCONT))
	r.Get("/slow?ms=1500")
	require.NotContains(t, r.Stop(), "killed")
}

// A worker that reads no message and ignores SIGTERM is killed in the end.
func TestStopLadder(t *testing.T) {
	t.Parallel()
	const drain = 200 * time.Millisecond
	r := startScript(t, 1,
		`trap 'echo I stay >&2' TERM; echo '{"act":"ready"}' >&3; while :; do sleep 0.1; done`, "-drain", drain.String())
	r.Await("is ready")
	begun := time.Now()
	out := r.StopUnfinished()
	require.Contains(t, out, "1 worker did not finish in time")
	require.GreaterOrEqual(t, time.Since(begun), drain+supervise.TermTimeout)
	require.Contains(t, out, "I stay")
}
