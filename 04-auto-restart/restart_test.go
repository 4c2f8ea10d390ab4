package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
	"playing-with-processes/internal/demo"
)

// Go and Node are each the primary of both. A worker that crashes or is killed is
// replaced, a worker that retires leaves once its replacement is ready, and a request
// that is being served at shutdown gets its answer.
func TestGoAndNode(t *testing.T) {
	t.Parallel()
	for pair, words := range map[string][]string{
		"Go, Go":     commandLine(t, 1, ""),
		"Go, Node":   commandLine(t, 1, nodeWorker),
		"Node, Go":   {"node", "node/primary.js", "0", "1", clitest.Self(t)},
		"Node, Node": {"node", "node/primary.js", "0", "1"},
	} {
		t.Run(pair, func(t *testing.T) {
			if strings.Contains(pair, "Node") {
				clitest.NeedNode(t)
			}
			t.Parallel()
			r := clitest.Launch(t, words...)
			first := r.AwaitPID("is ready")
			require.Equal(t, "worker "+strconv.Itoa(first), r.Get("/"))

			_, err := demo.Get(t.Context(), r.Address, "/crash")
			require.Error(t, err)
			second := r.AwaitPID("is ready")
			require.NoError(t, syscall.Kill(second, syscall.SIGKILL))
			third := r.AwaitPID("is ready")
			require.Equal(t, "worker "+strconv.Itoa(third), r.Get("/retire"))
			fourth := r.AwaitPID("is ready")
			require.Equal(t, third, r.AwaitPID(`(has left|exited).*code 0`))
			require.Equal(t, "worker "+strconv.Itoa(fourth), r.Get("/"))

			require.NoError(t, syscall.Kill(fourth, syscall.SIGTERM)) // asks to be replaced
			fifth := r.AwaitPID("is ready")
			require.Equal(t, fourth, r.AwaitPID(`(has left|exited).*code 0`))

			finished := r.Begin("/slow?ms=700")
			require.NoError(t, r.Process.Signal(syscall.SIGTERM))
			require.Equal(t, "worker "+strconv.Itoa(fifth), finished())
			r.RequireSuccess()
		})
	}
}

// Node's primary, too, reports errors, goes on trying, and drains on each of the signals.
func TestNodePrimary(t *testing.T) {
	clitest.NeedNode(t)
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	_, port, err := net.SplitHostPort(taken.Addr().String())
	require.NoError(t, err)
	got := clitest.Run(t, "node", "node/primary.js", port)
	require.Equal(t, clitest.Result{Stderr: "port " + port + ": EADDRINUSE\n", Code: 1}, got)
	require.Equal(t, 2, clitest.Run(t, "node", "node/primary.js", "0", "none").Code)

	r := clitest.Launch(t, "node", "node/primary.js", "0", "1", "/nonexistent")
	for range 3 {
		r.Await("ENOENT")
	}
	r.Stop()

	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		r := clitest.Launch(t, "node", "node/primary.js", "0", "2")
		r.Await("is ready")
		r.Await("is ready")
		finished := r.Begin("/slow?ms=300")
		require.NoError(t, r.Process.Signal(sig))
		require.Regexp(t, `worker \d+`, finished())
		r.RequireSuccess()
	}
}

// The cause of a crash loop is removed while the program runs. Restarts stay within the
// limit, the first error is repeated, and then the workers serve again by themselves.
func TestCrashLoopRecovers(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "worker")
	r := startPrimary(t, 2, program+" worker")
	r.Await("restarts are suspended: more than 10 in 10s")
	r.Await("no worker serves until then: connections wait")
	require.Contains(t, r.Await("the first error was: "), "no such file or directory")
	require.Contains(t, r.Await("the first error was: "), "no such file or directory")

	answered := make(chan string)
	go func() {
		answer, _ := demo.Get(context.Background(), r.Address, "/")
		answered <- answer
	}()
	require.NoError(t, os.Symlink(clitest.Self(t), program))
	r.Await("the probe starts")
	pid := r.AwaitPID("is ready")
	require.Equal(t, "worker "+strconv.Itoa(pid), <-answered)
	r.Await("restarts are on again")
	r.AwaitPID("is ready")
	out := r.Stop()
	require.LessOrEqual(t, strings.Count(out, "] cannot start a worker: "), 2+10, out)
	used := r.ProcessState.UserTime() + r.ProcessState.SystemTime()
	require.Less(t, used, 5*time.Second, "the crash loop has used too much CPU time")
}

// A worker that asks to be replaced each time as soon as it is ready is replaced after
// longer and longer pauses.
func TestRetireLoop(t *testing.T) {
	t.Parallel()
	r := startScript(t, 1,
		`read server <&3; echo '{"act":"ready"}' >&3; echo '{"act":"retire"}' >&3; read stop <&3`)
	begun := time.Now()
	for range 5 {
		r.Await(`has left \(code 0\)`)
	}
	require.GreaterOrEqual(t, time.Since(begun), (1+2+4+8+16)*50*time.Millisecond)
	r.Stop()
}

// A worker that has asked to be replaced has not failed, however it ends. It may ask
// before it is ready.
func TestRetiringWorkerEnds(t *testing.T) {
	t.Parallel()
	r := startScript(t, 1,
		`read server <&3; echo '{"act":"retire"}' >&3; echo '{"act":"ready"}' >&3; exit 7`)
	r.Await(`has left \(code 7\)`)
	r.Await(`has left \(code 7\)`)
	require.NotRegexp(t, "was never ready|crashed", r.StopUnfinished())
}

// A worker that sends ready several times gets ready once.
func TestReadyAgain(t *testing.T) {
	t.Parallel()
	r := startScript(t, 1,
		`read server <&3; for i in 1 2 3 4; do echo '{"act":"ready"}' >&3; done; read stop <&3`)
	r.Await("is ready")
	require.Equal(t, 1, strings.Count(r.Stop(), "is ready"))
}
