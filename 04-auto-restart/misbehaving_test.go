package main

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
	"playing-with-processes/internal/demo"
	"playing-with-processes/internal/restart"
	"playing-with-processes/internal/supervise"
)

// A stopped worker is replaced once it has missed its heartbeats, and so is a Node worker
// in an endless loop.
func TestFrozen(t *testing.T) {
	clitest.Each(t, nodeWorker, func(t *testing.T, worker string) {
		r := startPrimary(t, 1, worker)
		pid := r.AwaitPID("is ready")
		begun := time.Now()
		if worker == "" {
			require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
		} else {
			go demo.Get(context.Background(), r.Address, "/hang")
		}
		require.Equal(t, pid, r.AwaitPID(`was killed \(signal killed\): no heartbeat for 3s`))
		require.GreaterOrEqual(t, time.Since(begun), (missedBeats-1)*beatInterval)
		require.NotEqual(t, pid, r.AwaitPID("is ready"))
		r.Get("/")
		r.Stop()
	})
}

// Only a worker that has promised heartbeats is watched. All of these are silent: the
// first promises none, and the others do.
func TestWatched(t *testing.T) {
	t.Parallel()
	once := filepath.Join(t.TempDir(), "once")
	r := startScript(t, 2, `
		promise=',"heartbeat":40'
		mkdir `+once+` 2>/dev/null && promise=
		echo "{\"act\":\"ready\"$promise}" >&3
		exec sleep 100`)
	for range 3 {
		r.Await(`no heartbeat for 120ms`)
	}
	r.StopUnfinished()
}

// A worker that does not get ready is killed.
func TestNeverReady(t *testing.T) {
	t.Parallel()
	r := startScript(t, 1, "exec sleep 100", "-ready", "100ms")
	r.Await(`was never ready \(signal killed\): still starting after 100ms`)
	r.StopUnfinished()
}

// A worker that floods its channel, and reads nothing from it, disturbs no other worker.
// The first of these floods it, and the others are good workers.
func TestFlood(t *testing.T) {
	t.Parallel()
	once := filepath.Join(t.TempDir(), "once")
	r := startScript(t, 2, `
		mkdir `+once+` 2>/dev/null && exec yes '{"act":"retire"} or no JSON at all' >&3
		exec `+clitest.Self(t)+` worker`)
	good := r.AwaitPID("is ready")
	require.Equal(t, "worker "+strconv.Itoa(good), r.Get("/"))
	require.NoError(t, syscall.Kill(good, syscall.SIGKILL))
	r.AwaitPID("is ready")
	r.Get("/")
	r.StopUnfinished()
}

// A worker that closes its channel has -drain to finish its requests. Then it is terminated
// and replaced.
func TestDisconnectedWorker(t *testing.T) {
	t.Parallel()
	const drain = time.Second
	begun := time.Now()
	r := startScript(t, 1, `echo '{"act":"ready"}' >&3; exec 3>&-; exec sleep 100`, "-drain", drain.String())
	pid := r.AwaitPID("is ready")
	require.Equal(t, pid, r.AwaitPID(`was killed \(signal terminated\)`))
	require.GreaterOrEqual(t, time.Since(begun), drain)
	require.NotEqual(t, pid, r.AwaitPID("is ready"))
	r.StopUnfinished()
}

// A worker may be a script that starts the real worker, which has the port. The real
// worker ends with the script.
func TestWrappedWorker(t *testing.T) {
	t.Parallel()
	r := startScript(t, 1, clitest.Self(t)+` worker; exit $?`)
	script := r.AwaitPID("is ready")
	inner := clitest.PIDIn(t, r.Get("/"))
	require.NotEqual(t, script, inner)
	require.NoError(t, syscall.Kill(script, syscall.SIGKILL))
	r.AwaitPID("is ready")
	require.NotEqual(t, inner, clitest.PIDIn(t, r.Get("/")))
	require.NoError(t, syscall.Kill(clitest.PIDIn(t, r.Get("/")), syscall.SIGSTOP))
	require.NoError(t, r.Process.Signal(syscall.SIGTERM))
	r.RequireEndWith([]int{inner})
}

// A worker cannot read the primary's standard input.
func TestWorkersHaveNoInput(t *testing.T) {
	t.Parallel()
	cmd := clitest.Command(t, commandLine(t, 1, clitest.Script(t,
		`read line && echo received $line >&2; read server <&3; echo '{"act":"ready"}' >&3; read stop <&3`))...)
	cmd.Stdin = strings.NewReader("for the primary\n")
	r := clitest.LaunchCommand(t, cmd)
	r.Await("is ready")
	require.NotContains(t, r.Stop(), "received")
}

// A worker that shuts down the shared socket breaks it for all workers. Each of them
// ends, so that none looks alive and answers nothing, and restarts are suspended.
func TestBrokenSocket(t *testing.T) {
	t.Parallel()
	o := options{n: 1, command: inProcess(t, ""), policy: restart.Default(1), ready: clitest.Never}
	o.policy.Period, o.policy.MaxPause = clitest.Never, time.Millisecond
	server, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	raw, err := server.(*net.TCPListener).SyscallConn()
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	suspended := false
	keepServing(ctx, server, o, func(e supervise.Event) {
		switch e := e.(type) {
		case supervise.Ready:
			raw.Control(func(fd uintptr) { syscall.Shutdown(int(fd), syscall.SHUT_RD) })
		case supervise.Restarts:
			suspended = e.State == restart.Suspended
			stop()
		}
	})
	require.True(t, suspended)
}

// A worker that is too short of descriptors for the server must say so and end. It would serve
// nothing, and the primary would wait.
func TestShortOfDescriptors(t *testing.T) {
	t.Parallel()
	for limit := 4; limit < 16; limit++ {
		r := startScript(t, 1, fmt.Sprintf("ulimit -n %d; exec '%s' worker", limit, clitest.Self(t)))
		r.Await(`is ready|was never ready \(code \d+\): .`)
		r.StopUnfinished()
	}
}
