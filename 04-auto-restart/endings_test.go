package main

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
)

// server is a primary with two workers that are ready.
func server(t *testing.T, attr *syscall.SysProcAttr, env []string, worker string) (r *clitest.Running, workers []int) {
	t.Helper()
	cmd := clitest.Command(t, clitest.Self(t), "-addr", "127.0.0.1:0", "-n", "2", "-worker", worker)
	cmd.Env = append(cmd.Env, env...)
	cmd.SysProcAttr = attr
	r = clitest.LaunchCommand(t, cmd)
	return r, []int{r.AwaitPID("is ready"), r.AwaitPID("is ready")}
}

// Whatever ends the primary ends the workers with it.
func TestSoakEndings(t *testing.T) { clitest.RequireEndWithSignal(t, nodeWorker, server) }

func TestEndings(t *testing.T) {
	t.Parallel()
	clitest.RequireEndWhileBusy(t, nodeWorker, drainTimeout, server)
	clitest.RequireEndWithInterrupt(t, nodeWorker, server)
}

// While the primary is stopped, as by Ctrl-Z, the workers serve on; and when it goes
// on, none of them was late.
func TestStoppedPrimary(t *testing.T) {
	t.Parallel()
	r, _ := server(t, nil, nil, "")
	require.NoError(t, r.Process.Signal(syscall.SIGSTOP))
	r.Get("/slow?ms=5000") // longer than a heartbeat may be missed
	require.NoError(t, r.Process.Signal(syscall.SIGCONT))
	r.Get("/slow?ms=1500")
	require.NotContains(t, r.Stop(), "killed")
}

// Ctrl-C ends the demonstration early, and that is an interruption.
func TestInterruptedDemo(t *testing.T) {
	t.Parallel()
	clitest.RequireInterruptible(t, name, 5, clitest.Self(t), "-demo")
}
