package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/programtest"
)

// A worker that is stopped cannot notice that its primary has gone. The kernel wakes
// it: its process group has lost the only parent in the session (setpgid(2),
// "orphaned process group"), and gets SIGHUP and SIGCONT.
func TestStoppedWorkerEndsWithPrimary(t *testing.T) {
	each(t, func(t *testing.T, worker string) {
		r, workers := server(t, &syscall.SysProcAttr{Setsid: true}, nil, worker)
		require.NoError(t, syscall.Kill(workers[0], syscall.SIGSTOP))
		requireStopped(t, workers[0]) // the kernel wakes only who has stopped by then
		require.NoError(t, r.Process.Kill())
		r.requireEndWith(workers)
	})
}

// requireStopped waits until each thread of a process is stopped.
func requireStopped(t *testing.T, pid int) {
	t.Helper()
	require.Eventually(t, func() bool {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		require.NoError(t, err)
		return !slices.ContainsFunc(threads, func(thread string) bool {
			stat, err := os.ReadFile(thread)
			return err != nil || !bytes.Contains(stat, []byte(") T "))
		})
	}, time.Minute, time.Millisecond)
}

// As the first process of a container it replaces its workers, and stops when
// Docker asks it to.
func TestProcess1(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("needs root, for a PID namespace")
	}
	cmd := programtest.Command(t, programtest.Self(t), "-addr", "127.0.0.1:0", "-n", "1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	r := launched(t, cmd)
	r.await(`\[primary 1\] worker \d+ is ready`)
	_, err := visit(t.Context(), r.address, "/crash")
	require.Error(t, err)
	r.await(`\[primary 1\] worker \d+ is ready`)
	finished := r.begin("/slow?ms=300")
	require.NoError(t, r.Process.Signal(syscall.SIGTERM))
	require.Regexp(t, `worker \d+`, finished())
	r.requireGoodEnd()
}
