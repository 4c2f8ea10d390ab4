package main

import (
	"strconv"
	"syscall"
	"testing"

	"playing-with-processes/internal/clitest"
)

const (
	name       = "04-auto-restart"
	nodeWorker = "node node/worker.js"
)

func TestMain(m *testing.M) { clitest.Main(m, main) }

// commandLine returns the command line of a primary with n workers on any free port.
// worker is the command line of a worker, or "" for this program.
func commandLine(t *testing.T, n int, worker string) []string {
	t.Helper()
	return []string{clitest.Self(t), "-addr", "127.0.0.1:0", "-n", strconv.Itoa(n), "-worker", worker}
}

// startPrimary starts a primary with n workers.
func startPrimary(t *testing.T, n int, worker string) *clitest.Running {
	t.Helper()
	return clitest.Launch(t, commandLine(t, n, worker)...)
}

// startScript starts a primary with n workers that run a shell script. Its descriptor 3
// is the channel: a line that it reads or writes there is a message.
func startScript(t *testing.T, n int, script string) *clitest.Running {
	t.Helper()
	return startPrimary(t, n, clitest.Script(t, script))
}

// startTwo starts a primary with two workers, and waits until they are ready.
func startTwo(t *testing.T, attr *syscall.SysProcAttr, env []string, worker string) (r *clitest.Running, workers []int) {
	t.Helper()
	cmd := clitest.Command(t, commandLine(t, 2, worker)...)
	cmd.Env = append(cmd.Env, env...)
	cmd.SysProcAttr = attr
	r = clitest.LaunchCommand(t, cmd)
	return r, []int{r.AwaitPID("is ready"), r.AwaitPID("is ready")}
}
