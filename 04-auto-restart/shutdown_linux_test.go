package main

import (
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
	"playing-with-processes/internal/demo"
)

// A stopped worker cannot notice that its primary is gone. The kernel wakes it: its
// process group has lost the only parent in the session (setpgid(2), "orphaned process
// group"), and gets SIGHUP and SIGCONT.
func TestStoppedWorkerEndsWithPrimary(t *testing.T) {
	clitest.Each(t, nodeWorker, func(t *testing.T, worker string) {
		r, workers := startTwo(t, worker, clitest.Server{Attr: &syscall.SysProcAttr{Setsid: true}})
		require.NoError(t, syscall.Kill(workers[0], syscall.SIGSTOP))
		clitest.RequireStopped(t, workers[0]) // the kernel wakes only a process that has stopped by then
		require.NoError(t, r.Process.Kill())
		r.RequireEndWith(workers)
	})
}

// As the first process of a container the primary replaces its workers, and drains on
// SIGTERM, as `docker stop` sends it.
func TestProcess1(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("needs root, for a PID namespace")
	}
	cmd := clitest.Command(t, commandLine(t, 1, "")...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	r := clitest.LaunchCommand(t, cmd)
	r.Await(`\[primary 1\] worker \d+ is ready`)
	_, err := demo.Get(t.Context(), r.Address, "/crash")
	require.Error(t, err)
	r.Await(`\[primary 1\] worker \d+ is ready`)
	finished := r.Begin("/slow?ms=300")
	require.NoError(t, r.Process.Signal(syscall.SIGTERM))
	require.Regexp(t, `worker \d+`, finished())
	r.RequireSuccess()
}
