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
	"playing-with-processes/internal/supervise"
)

// server is a primary with two workers that are ready.
func server(t *testing.T, attr *syscall.SysProcAttr, env []string, worker string) (r *programtest.Running, workers []int) {
	t.Helper()
	cmd := programtest.Command(t, programtest.Self(t), "-addr", "127.0.0.1:0", "-n", "2", "-worker", worker)
	cmd.Env = append(cmd.Env, env...)
	cmd.SysProcAttr = attr
	r = programtest.Launch(t, cmd)
	return r, []int{r.AwaitPID("is ready"), r.AwaitPID("is ready")}
}

// Whatever ends the primary ends the workers with it, at once if they are idle.
func TestSoakEndings(t *testing.T) {
	for name, sig := range map[string]syscall.Signal{
		"SIGKILL": syscall.SIGKILL, "SIGTERM": syscall.SIGTERM, "SIGINT": syscall.SIGINT, "SIGHUP": syscall.SIGHUP,
	} {
		t.Run(name, func(t *testing.T) {
			programtest.Each(t, nodeWorker, func(t *testing.T, worker string) {
				for range programtest.Times(2, 50) {
					tmp := t.TempDir()
					r, workers := server(t, nil, []string{"TMPDIR=" + tmp}, worker)
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
			})
		})
	}
}

// A busy worker without a primary gets half a second more.
func TestKilledWhileBusy(t *testing.T) {
	t.Parallel()
	r, workers := server(t, nil, nil, "")
	short, long := r.Begin("/slow?ms=100"), r.Begin("/slow?ms=60000")
	require.NoError(t, r.Process.Kill())
	require.Regexp(t, `worker \d+`, short())
	require.Equal(t, "unexpected EOF", long())
	r.RequireEndWith(workers)
}

// A worker that is draining still notices that its primary has gone.
func TestKilledWhileDraining(t *testing.T) {
	t.Parallel()
	r, workers := server(t, nil, nil, "")
	r.Begin("/slow?ms=60000")
	require.NoError(t, r.Process.Signal(syscall.SIGTERM))
	require.Eventually(t, func() bool { // then all have closed the socket
		conn, err := net.Dial("tcp", r.Address)
		if err == nil {
			conn.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	}, drainFor/2, time.Millisecond)
	require.NoError(t, r.Process.Kill())
	r.RequireEndWith(workers)
}

// What takes too long is cut off at the deadline, and that is a good end.
func TestDrainDeadline(t *testing.T) {
	programtest.Each(t, nodeWorker, func(t *testing.T, worker string) {
		r, workers := server(t, nil, nil, worker)
		finished := r.Begin("/slow?ms=60000")
		begun := time.Now()
		require.NoError(t, r.Process.Signal(syscall.SIGTERM))
		require.Equal(t, "unexpected EOF", finished())
		require.GreaterOrEqual(t, time.Since(begun), drainFor)
		r.RequireEndWith(workers)
		require.Less(t, time.Since(begun), drainFor+supervise.TermFor) // SIGTERM made it hurry
		require.Zero(t, r.ProcessState.ExitCode())
	})
}

// A second Ctrl-C does not wait.
func TestSecondInterrupt(t *testing.T) {
	t.Parallel()
	r, workers := server(t, nil, nil, "")
	r.Begin("/slow?ms=60000")
	require.NoError(t, r.Process.Signal(os.Interrupt))
	r.Await("stopping")
	require.NoError(t, r.Process.Signal(os.Interrupt))
	r.RequireEndWith(workers)
	require.Equal(t, syscall.SIGINT, r.ProcessState.Sys().(syscall.WaitStatus).Signal())
}

// The terminal's Ctrl-C goes to all of its foreground processes: the workers are not
// among them, and finish what they are doing.
func TestTerminalInterrupt(t *testing.T) {
	programtest.Each(t, nodeWorker, func(t *testing.T, worker string) {
		r, workers := server(t, &syscall.SysProcAttr{Setpgid: true}, nil, worker)
		finished := r.Begin("/slow?ms=300")
		require.NoError(t, syscall.Kill(-r.Process.Pid, syscall.SIGINT))
		require.Regexp(t, `worker \d+`, finished())
		r.RequireEndWith(workers)
		require.Zero(t, r.ProcessState.ExitCode())
	})
}

// While the primary is stopped, as by Ctrl-Z, the workers serve on; and when it goes
// on, none of them was late.
func TestStoppedPrimary(t *testing.T) {
	t.Parallel()
	r, _ := server(t, nil, nil, "")
	require.NoError(t, r.Process.Signal(syscall.SIGSTOP))
	r.Visit("/slow?ms=5000") // longer than a heartbeat may be missed
	require.NoError(t, r.Process.Signal(syscall.SIGCONT))
	r.Visit("/slow?ms=1500")
	require.NotContains(t, r.Stop(), "killed")
}

// Ctrl-C ends the demonstration early, and that is an interruption.
func TestInterruptedDemo(t *testing.T) {
	t.Parallel()
	programtest.RequireInterruptible(t, name, 5, programtest.Self(t), "-demo")
}
