package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"regexp"
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

const (
	name       = "04-auto-restart"
	nodeWorker = "node node/worker.js"
)

func TestMain(m *testing.M) { clitest.Main(m, main) }

// Whoever starts it learns from the first lines what to try, and who speaks.
func TestFirstLines(t *testing.T) {
	r := clitest.Launch(t, clitest.Self(t), "-addr", "127.0.0.1:0", "-n", "1")
	r.Await("is ready")
	out := r.Stop()
	for _, try := range []string{"/crash", "/retire", "/hang", "/slow", "kill -9", "Ctrl-C"} {
		require.Contains(t, out, try)
	}
	for _, try := range regexp.MustCompile(`curl '?([^' ]+)`).FindAllStringSubmatch(out, -1) {
		require.True(t, strings.HasPrefix(try[1], r.Address+"/"), try[1])
	}
	_, silent := clitest.ParseLines(out)
	require.Empty(t, silent)
}

// The demonstration plays its whole story in time, and the summary has good news.
func TestDemo(t *testing.T) {
	clitest.Each(t, nodeWorker, func(t *testing.T, worker string) {
		begun := time.Now()
		got := clitest.Run(t, clitest.Self(t), "-demo", "-worker", worker)
		require.Zero(t, got.Code, got.Stderr)
		require.Less(t, time.Since(begun), 30*time.Second)
		for _, want := range []string{
			`worker \d+ answered \d+, worker \d+ answered \d+: they race`,
			`no heartbeat for 3s`,
			`restarts are suspended: more than 10 in 10s`,
			`the first error was: worker \d+ crashed .*a client asked for /crash`,
			`the probe has proved stable`,
			`(?m)^a crash +\S+ +\d+\nkill -9 +\S+ +\d+\nretire +\S+ +0\na freeze +[2345]\.\d+s +\d+\na crash loop +\S+s +\d+\n`,
			`(?m)^ +0 refused\n +0 without an answer or an end$`,
		} {
			require.Regexp(t, want, got.Stdout)
		}
		for line := range strings.Lines(got.Stdout) {
			require.LessOrEqual(t, len(line), 150, line)
		}
	})
}

// Go and Node, each as the primary of both: a worker that crashes or is killed is
// replaced, one that retires after its replacement is ready, and a visitor who is
// being served when the end comes gets the answer.
func TestSeatings(t *testing.T) {
	t.Parallel()
	self := clitest.Self(t)
	for seats, words := range map[string][]string{
		"Go, Go":     {self, "-addr", "127.0.0.1:0", "-n", "1"},
		"Go, Node":   {self, "-addr", "127.0.0.1:0", "-n", "1", "-worker", nodeWorker},
		"Node, Go":   {"node", "node/primary.js", "0", "1", self},
		"Node, Node": {"node", "node/primary.js", "0", "1"},
	} {
		t.Run(seats, func(t *testing.T) {
			if strings.Contains(seats, "Node") {
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

			require.NoError(t, syscall.Kill(fourth, syscall.SIGTERM)) // a wish to be replaced
			fifth := r.AwaitPID("is ready")
			require.Equal(t, fourth, r.AwaitPID(`(has left|exited).*code 0`))

			finished := r.Begin("/slow?ms=700")
			require.NoError(t, r.Process.Signal(syscall.SIGTERM))
			require.Equal(t, "worker "+strconv.Itoa(fifth), finished())
			r.RequireSuccess()
		})
	}
}

// Node's primary, too, tells what is wrong, goes on trying, and drains whatever ends it.
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

// A cause that is mended while the program runs: restarts stay within the limit,
// the first error is told again, and then the service is back by itself.
func TestCrashLoopRecovers(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "worker")
	r := clitest.Launch(t, clitest.Self(t), "-addr", "127.0.0.1:0", "-n", "2", "-worker", program+" worker")
	r.Await("restarts are suspended: more than 10 in 10s")
	r.Await("no worker serves until then: connections wait")
	require.Contains(t, r.Await("the first error was: "), "no such file or directory")

	visited := make(chan string)
	go func() {
		answer, _ := demo.Get(context.Background(), r.Address, "/")
		visited <- answer
	}()
	require.NoError(t, os.Symlink(clitest.Self(t), program))
	r.Await("the probe starts")
	pid := r.AwaitPID("is ready")
	require.Equal(t, "worker "+strconv.Itoa(pid), <-visited)
	r.Await("restarts are on again")
	r.AwaitPID("is ready")
	out := r.Stop()
	require.LessOrEqual(t, strings.Count(out, "] fork: "), 2+10, out)
	used := r.ProcessState.UserTime() + r.ProcessState.SystemTime()
	require.Less(t, used, 5*time.Second, "a core has been spinning")
}

// In a crash loop all say the same: it is passed on once, and its gist each time.
func TestFirstErrorStays(t *testing.T) {
	t.Parallel()
	r := clitest.Launch(t, clitest.Self(t), "-addr", "127.0.0.1:0", "-n", "1",
		"-worker", clitest.Script(t, "echo a long story >&2; echo no database >&2; exit 3"))
	require.Contains(t, r.Await("first error was"), "never ready (code 3): no database")
	out := r.Stop()
	require.Equal(t, 1, strings.Count(out, "a long story"), out)
	require.Equal(t, 6+1, strings.Count(out, "never ready (code 3): no database"), out)
	require.NotContains(t, out, "restarts are on again")
}

// What a worker says while all is well is passed on, and after a failure as soon as
// it has held.
func TestWorkersSpeak(t *testing.T) {
	t.Parallel()
	once := filepath.Join(t.TempDir(), "once")
	r := clitest.Launch(t, clitest.Self(t), "-addr", "127.0.0.1:0", "-n", "1", "-worker", clitest.Script(t,
		`mkdir `+once+` 2>/dev/null && exit 1
		echo hello again >&2; echo '{"act":"ready"}' >&3; read server <&3; read stop <&3; echo good bye >&2`))
	r.Await("is ready")
	r.Await("hello again")
	require.Contains(t, r.Stop(), "good bye")
}

// A worker that is stopped from outside is replaced once its heartbeat has been
// missed; so is a Node worker in an endless loop.
func TestFrozen(t *testing.T) {
	clitest.Each(t, nodeWorker, func(t *testing.T, worker string) {
		r := clitest.Launch(t, clitest.Self(t), "-addr", "127.0.0.1:0", "-n", "1", "-worker", worker)
		pid := r.AwaitPID("is ready")
		begun := time.Now()
		if worker == "" {
			require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
		} else {
			go demo.Get(context.Background(), r.Address, "/hang")
		}
		require.Equal(t, pid, r.AwaitPID(`killed \(signal killed\): no heartbeat for 3s`))
		require.GreaterOrEqual(t, time.Since(begun), (missedBeats-1)*beatInterval)
		require.Less(t, time.Since(begun), (missedBeats+2)*beatInterval)
		require.NotEqual(t, pid, r.AwaitPID("is ready"))
		r.Get("/")
		r.Stop()
	})
}

// Only who has promised heartbeats is watched: of these, the first promises none
// and is silent, the others promise some and are silent.
func TestWatched(t *testing.T) {
	t.Parallel()
	once := filepath.Join(t.TempDir(), "once")
	r := clitest.Launch(t, clitest.Self(t), "-addr", "127.0.0.1:0", "-n", "2", "-worker", clitest.Script(t, `
		promise=',"heartbeat":40'
		mkdir `+once+` 2>/dev/null && promise=
		echo "{\"act\":\"ready\"$promise}" >&3
		exec sleep 100`))
	for range 3 {
		r.Await(`no heartbeat for 120ms`)
	}
	r.Stop()
}

// A worker that does not get ready is killed.
func TestNeverReady(t *testing.T) {
	t.Parallel()
	r := clitest.Launch(t, clitest.Self(t), "-addr", "127.0.0.1:0", "-n", "1", "-worker", clitest.Script(t, "exec sleep 100"))
	r.Await(`never ready \(signal killed\): still starting after 10s`)
	r.Stop()
}

// One that floods the channel, and takes nothing from it, disturbs nobody: of
// these, the first floods and the others are good workers.
func TestFlood(t *testing.T) {
	t.Parallel()
	once := filepath.Join(t.TempDir(), "once")
	r := clitest.Launch(t, clitest.Self(t), "-addr", "127.0.0.1:0", "-n", "2", "-worker", clitest.Script(t, `
		mkdir `+once+` 2>/dev/null && exec yes '{"act":"retire"} or no JSON at all' >&3
		exec `+clitest.Self(t)+` worker`))
	good := r.AwaitPID("is ready")
	require.Equal(t, "worker "+strconv.Itoa(good), r.Get("/"))
	require.NoError(t, syscall.Kill(good, syscall.SIGKILL))
	r.AwaitPID("is ready")
	r.Get("/")
	r.Stop()
}

// Who takes no message and no SIGTERM is killed in the end.
func TestLadder(t *testing.T) {
	t.Parallel()
	r := clitest.Launch(t, clitest.Self(t), "-addr", "127.0.0.1:0", "-n", "1", "-worker", clitest.Script(t,
		`trap 'echo I stay >&2' TERM; echo '{"act":"ready"}' >&3; while :; do sleep 0.1; done`))
	r.Await("is ready")
	begun := time.Now()
	out := r.Stop()
	require.GreaterOrEqual(t, time.Since(begun), drainTimeout+supervise.TermTimeout)
	require.Contains(t, out, "I stay")
}

// A worker that leaves its channel may finish what is open, and is then replaced.
func TestDisconnectedWorker(t *testing.T) {
	t.Parallel()
	r := clitest.Launch(t, clitest.Self(t), "-addr", "127.0.0.1:0", "-n", "1", "-worker", clitest.Script(t,
		`echo '{"act":"ready"}' >&3; exec 3>&-; exec sleep 100`))
	pid := r.AwaitPID("is ready")
	begun := time.Now()
	require.Equal(t, pid, r.AwaitPID(`killed \(signal terminated\)`))
	require.GreaterOrEqual(t, time.Since(begun), drainTimeout-time.Second) // it might have had something open
	require.NotEqual(t, pid, r.AwaitPID("is ready"))
	r.Stop()
}

// A worker that asks to be replaced as soon as it is ready, each time, gets it
// later and later.
func TestRetireLoop(t *testing.T) {
	t.Parallel()
	r := clitest.Launch(t, clitest.Self(t), "-addr", "127.0.0.1:0", "-n", "1", "-worker", clitest.Script(t,
		`echo '{"act":"ready"}' >&3; echo '{"act":"retire"}' >&3; read server <&3; read stop <&3`))
	begun := time.Now()
	for range 5 {
		r.Await(`has left \(code 0\)`)
	}
	require.GreaterOrEqual(t, time.Since(begun), (1+2+4+8+16)*50*time.Millisecond)
	r.Stop()
}

// Who has announced its end has not failed, however it ends; and a wish from before
// it was ready is not forgotten.
func TestRetiringWorkerEnds(t *testing.T) {
	t.Parallel()
	r := clitest.Launch(t, clitest.Self(t), "-addr", "127.0.0.1:0", "-n", "1", "-worker", clitest.Script(t,
		`read server <&3; echo '{"act":"retire"}' >&3; echo '{"act":"ready"}' >&3; exit 7`))
	r.Await(`has left \(code 7\)`)
	r.Await(`has left \(code 7\)`)
	require.NotRegexp(t, "never ready|crashed", r.Stop())
}

// Ready is ready, however often it is said.
func TestReadyAgain(t *testing.T) {
	t.Parallel()
	r := clitest.Launch(t, clitest.Self(t), "-addr", "127.0.0.1:0", "-n", "1", "-worker", clitest.Script(t,
		`for i in 1 2 3 4; do echo '{"act":"ready"}' >&3; done; read server <&3; read stop <&3`))
	r.Await("is ready")
	require.Equal(t, 1, strings.Count(r.Stop(), "is ready"))
}

// A worker may be a script that starts the real one, which has the port: it does not
// outlive the script.
func TestWrappedWorker(t *testing.T) {
	t.Parallel()
	r := clitest.Launch(t, clitest.Self(t), "-addr", "127.0.0.1:0", "-n", "1", "-worker", clitest.Script(t,
		clitest.Self(t)+` worker; exit $?`))
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

// A worker has no part in the primary's standard input.
func TestWorkersHaveNoInput(t *testing.T) {
	t.Parallel()
	cmd := clitest.Command(t, clitest.Self(t), "-addr", "127.0.0.1:0", "-n", "1", "-worker", clitest.Script(t,
		`read line && echo heard $line >&2; echo '{"act":"ready"}' >&3; read server <&3; read stop <&3`))
	cmd.Stdin = strings.NewReader("for the primary\n")
	r := clitest.LaunchCommand(t, cmd)
	r.Await("is ready")
	require.NotContains(t, r.Stop(), "heard")
}

// A worker that shuts down the shared socket breaks it for all. Then no worker must look
// alive and answer nothing: each one ends, and restarts are suspended.
func TestBrokenSocket(t *testing.T) {
	say = clitest.ForkSelf(t)
	server, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	raw, err := server.(*net.TCPListener).SyscallConn()
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	suspended := false
	keepServing(ctx, server, options{n: 1, policy: restart.Default(1)}, func(e supervise.Event) {
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

// Bad input is one line and an exit code.
func TestComplaints(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"-x"}, 2, "flag provided but not defined: -x"},
		{[]string{"-n", "0"}, 2, "-n 0: there can be 1 to 512 workers"},
		{[]string{"-n", "-1"}, 2, "-n -1: there can be 1 to 512 workers"},
		{[]string{"-n", "100000"}, 2, "-n 100000: there can be 1 to 512 workers"},
		{[]string{"-demo", "-n", "9"}, 2, "-n 9: there can be 1 to 8 workers"},
		{[]string{"-n", "many"}, 2, "invalid value"},
		{[]string{"boss"}, 2, `unexpected arguments ["boss"]`},
		{[]string{"-n", "2", "worker"}, 2, `unexpected arguments ["worker"]`},
		{[]string{"worker"}, 1, "worker: not forked: NODE_CHANNEL_FD is not set"},
		{[]string{"-addr", taken.Addr().String()}, 1, "address already in use"},
		{[]string{"-demo", "-addr", taken.Addr().String()}, 1, "address already in use"},
		{[]string{"-addr", "nonsense"}, 1, "missing port in address"},
		{[]string{"-addr", "127.0.0.1:99999"}, 1, "invalid port"},
		{[]string{"-addr", "192.0.2.1:0"}, 1, "cannot assign requested address"},
		{[]string{"-addr", ""}, 2, "-addr is empty"},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			got := clitest.Run(t, append([]string{clitest.Self(t)}, test.args...)...)
			clitest.RequireComplaint(t, got, test.code, name, test.want)
		})
	}
}

func TestHelp(t *testing.T) {
	require.Equal(t, clitest.Result{Stdout: usage}, clitest.Run(t, clitest.Self(t), "-h"))
}
