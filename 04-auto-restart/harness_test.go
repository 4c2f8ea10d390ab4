package main

import (
	"io"
	"log"
	"os/exec"
	"strconv"
	"testing"

	"playing-with-processes/internal/clitest"
	"playing-with-processes/internal/supervise"
)

const (
	name       = "04-auto-restart"
	nodeWorker = "node node/worker.js"
)

func TestMain(m *testing.M) {
	say = log.New(io.Discard, "", 0) // for primaries in this process
	clitest.Main(m, main)
}

// inProcess returns what the workers of a primary in this process run. worker is their
// command line, or "" for this program.
func inProcess(t *testing.T, worker string) func(*supervise.Worker) *exec.Cmd {
	t.Helper()
	env := clitest.Command(t, clitest.Self(t)).Env
	return func(w *supervise.Worker) *exec.Cmd {
		cmd := workerCommand(worker)(w)
		cmd.Env = env
		return cmd
	}
}

// commandLine returns the command line of a primary with n workers on any free port.
// worker is the command line of a worker, or "" for this program.
func commandLine(t *testing.T, n int, worker string, flags ...string) []string {
	t.Helper()
	return append([]string{
		clitest.Self(t), "-addr", "127.0.0.1:0", "-n", strconv.Itoa(n), "-worker", worker, "-ready", clitest.Never.String(),
	}, flags...)
}

// startPrimary starts a primary with n workers.
func startPrimary(t *testing.T, n int, worker string, flags ...string) *clitest.Running {
	t.Helper()
	return clitest.Launch(t, commandLine(t, n, worker, flags...)...)
}

// startScript starts a primary with n workers that run a shell script. Its descriptor 3
// is the channel: a line that it reads or writes there is a message.
func startScript(t *testing.T, n int, script string, flags ...string) *clitest.Running {
	t.Helper()
	return startPrimary(t, n, clitest.Script(t, script), flags...)
}

// startTwo starts a primary with two workers, and waits until they are ready.
func startTwo(t *testing.T, worker string, s clitest.Server) (r *clitest.Running, workers []int) {
	t.Helper()
	cmd := clitest.Command(t, commandLine(t, 2, worker, s.Flags...)...)
	cmd.Env, cmd.SysProcAttr = append(cmd.Env, s.Env...), s.Attr
	r = clitest.LaunchCommand(t, cmd)
	return r, []int{r.AwaitPID("is ready"), r.AwaitPID("is ready")}
}
