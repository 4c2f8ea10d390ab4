package main

import (
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/programtest"
)

// server is a primary with two workers that are ready.
func server(t *testing.T, attr *syscall.SysProcAttr, env []string, worker string) (r *running, workers []int) {
	t.Helper()
	cmd := programtest.Command(t, programtest.Self(t), "-addr", "127.0.0.1:0", "-n", "2", "-worker", worker)
	cmd.Env = append(cmd.Env, env...)
	cmd.SysProcAttr = attr
	r = launched(t, cmd)
	return r, []int{r.awaitPID("is ready"), r.awaitPID("is ready")}
}

// requireEndWith requires that the workers have ended a second after their primary,
// and the port is free.
func (r *running) requireEndWith(workers []int) {
	r.t.Helper()
	r.Wait()
	for _, pid := range workers {
		require.Eventually(r.t, func() bool {
			syscall.Wait4(pid, nil, syscall.WNOHANG, nil) // on Linux this process inherits them
			return syscall.Kill(pid, 0) == syscall.ESRCH
		}, time.Second, time.Millisecond, "worker %d has outlived its primary", pid)
	}
	listener, err := net.Listen("tcp", r.address)
	require.NoError(r.t, err)
	require.NoError(r.t, listener.Close())
}

// Whatever ends the primary ends the workers with it, at once if they are idle.
func TestSoakEndings(t *testing.T) {
	for name, sig := range map[string]syscall.Signal{
		"SIGKILL": syscall.SIGKILL, "SIGTERM": syscall.SIGTERM, "SIGINT": syscall.SIGINT, "SIGHUP": syscall.SIGHUP,
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, worker string) {
				for range programtest.Times(2, 50) {
					tmp := t.TempDir()
					r, workers := server(t, nil, []string{"TMPDIR=" + tmp}, worker)
					require.NoError(t, r.Process.Signal(sig))
					r.requireEndWith(workers)
					if sig == syscall.SIGKILL {
						require.Equal(t, -1, r.ProcessState.ExitCode())
					} else {
						require.Zero(t, r.ProcessState.ExitCode())
					}
					left, err := os.ReadDir(tmp)
					require.NoError(t, err)
					require.Empty(t, left)
				}
			})
		})
	}
}

// A busy worker without a primary gets half a second more.
func TestKilledWhileBusy(t *testing.T) {
	t.Parallel()
	r, workers := server(t, nil, nil, "")
	short, long := r.begin("/slow?ms=100"), r.begin("/slow?ms=60000")
	require.NoError(t, r.Process.Kill())
	require.Regexp(t, `worker \d+`, short())
	require.Equal(t, "unexpected EOF", long())
	r.requireEndWith(workers)
}

// A worker that is draining still notices that its primary has gone.
func TestKilledWhileDraining(t *testing.T) {
	t.Parallel()
	r, workers := server(t, nil, nil, "")
	r.begin("/slow?ms=60000")
	require.NoError(t, r.Process.Signal(syscall.SIGTERM))
	require.Eventually(t, func() bool { // then all have closed the socket
		conn, err := net.Dial("tcp", r.address)
		if err == nil {
			conn.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	}, drainFor/2, time.Millisecond)
	require.NoError(t, r.Process.Kill())
	r.requireEndWith(workers)
}

// What takes too long is cut off at the deadline, and that is a good end.
func TestDrainDeadline(t *testing.T) {
	each(t, func(t *testing.T, worker string) {
		r, workers := server(t, nil, nil, worker)
		finished := r.begin("/slow?ms=60000")
		begun := time.Now()
		require.NoError(t, r.Process.Signal(syscall.SIGTERM))
		require.Equal(t, "unexpected EOF", finished())
		require.GreaterOrEqual(t, time.Since(begun), drainFor)
		r.requireEndWith(workers)
		require.Less(t, time.Since(begun), drainFor+termFor) // SIGTERM made it hurry
		require.Zero(t, r.ProcessState.ExitCode())
	})
}

// A second Ctrl-C does not wait.
func TestSecondInterrupt(t *testing.T) {
	t.Parallel()
	r, workers := server(t, nil, nil, "")
	r.begin("/slow?ms=60000")
	require.NoError(t, r.Process.Signal(os.Interrupt))
	r.await("stopping")
	require.NoError(t, r.Process.Signal(os.Interrupt))
	r.requireEndWith(workers)
	require.Equal(t, syscall.SIGINT, r.ProcessState.Sys().(syscall.WaitStatus).Signal())
}

// The terminal's Ctrl-C goes to all of its foreground processes: the workers are not
// among them, and finish what they are doing.
func TestTerminalInterrupt(t *testing.T) {
	each(t, func(t *testing.T, worker string) {
		r, workers := server(t, &syscall.SysProcAttr{Setpgid: true}, nil, worker)
		finished := r.begin("/slow?ms=300")
		require.NoError(t, syscall.Kill(-r.Process.Pid, syscall.SIGINT))
		require.Regexp(t, `worker \d+`, finished())
		r.requireEndWith(workers)
		require.Zero(t, r.ProcessState.ExitCode())
	})
}

// While the primary is stopped, as by Ctrl-Z, the workers serve on; and when it goes
// on, none of them was late.
func TestStoppedPrimary(t *testing.T) {
	t.Parallel()
	r, _ := server(t, nil, nil, "")
	require.NoError(t, r.Process.Signal(syscall.SIGSTOP))
	r.visit("/slow?ms=5000") // longer than a heartbeat may be missed
	require.NoError(t, r.Process.Signal(syscall.SIGCONT))
	r.visit("/slow?ms=1500")
	require.NotContains(t, r.stop(), "killed")
}

// Ctrl-C ends the demonstration early, and that is an interruption.
func TestInterruptedDemo(t *testing.T) {
	t.Parallel()
	programtest.RequireInterruptible(t, name, 5, programtest.Self(t), "-demo")
}
