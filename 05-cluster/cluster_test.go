package main

import (
	"fmt"
	"net"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/05-cluster/cluster"
	"playing-with-processes/internal/clitest"
	"playing-with-processes/internal/demo"
)

const (
	program05  = "05-cluster"
	nodeWorker = "node/worker.js"
)

func TestMain(m *testing.M) { clitest.Main(m, main) }

// serving is the program as a server on any free port, with Go workers or with Node's.
func serving(t *testing.T, worker string, more ...string) []string {
	t.Helper()
	words := append([]string{clitest.Self(t)}, more...)
	if worker == "" {
		return append(words, "-addr", "127.0.0.1:0")
	}
	return append(words, "-exec", worker, "--", "-addr", "127.0.0.1:0")
}

// Whoever starts it learns from the first lines what to try, and who speaks.
func TestFirstLines(t *testing.T) {
	t.Parallel()
	r := clitest.Launch(t, serving(t, "", "-n", "1")...)
	r.Await("Ctrl-C stops, a second one does not wait")
	out := r.Stop()
	for _, try := range regexp.MustCompile(`curl '?([^' ]+)`).FindAllStringSubmatch(out, -1) {
		require.True(t, strings.HasPrefix(try[1], r.Address+"/"), try[1])
	}
	_, silent := clitest.ParseLines(out)
	require.Empty(t, silent)
}

// The demonstration plays its whole story in time, and loses nobody whom no worker had
// accepted, nor anybody by a reload.
func TestDemo(t *testing.T) {
	for _, policy := range cluster.Policies() {
		t.Run(string(policy), func(t *testing.T) {
			clitest.Each(t, nodeWorker, func(t *testing.T, worker string) {
				begun := time.Now()
				got := clitest.Run(t, serving(t, worker, "-demo", "-sched", string(policy))...)
				require.Zero(t, got.Code, got.Stderr)
				require.Less(t, time.Since(begun), 50*time.Second)
				for _, want := range []string{
					`(?m)^worker 1 +\d+ +\d+  signal killed\nworker 2 +\d+ +\d+  signal killed\nworker 3`,
					`(?m)^\d+ requests, each on a new connection and none repeated; failed:\n` +
						`L0, L1 .* 0\nL2 .* 0  \(\d+ came back from a dead worker, and were answered\)\nL3 .* \d+\nL4 .* [1-9]\d*$`,
					`reload: all workers are new, after .*`,
					`reload: stopped; 0 replaced, 2 left as before: worker \d never ready \(code 1\): .*203.0.113.1:1337: bind: `,
				} {
					require.Regexp(t, want, got.Stdout)
				}
				if policy != cluster.None { // where Node 26 drops who has just connected
					require.Len(t, regexp.MustCompile(`it took .*; of \d+ requests that ended meanwhile 0 failed`).FindAllString(got.Stdout, -1), 2)
					require.Regexp(t, `it has not accepted a connection for 5s`, got.Stdout)
				}
				if policy == cluster.RoundRobin {
					require.Regexp(t, `worker \d+ answered [3-6]\d, worker \d+ answered [3-6]\d: they take turns`, got.Stdout)
				}
				for line := range strings.Lines(got.Stdout) {
					require.LessOrEqual(t, len(line), 180, line)
				}
			})
		})
	}
}

// Go and Node, each as the primary of both, under both policies: a worker that crashes or
// is killed is replaced, and a visitor who is being served when the end comes gets the
// answer.
func TestSeatings(t *testing.T) {
	t.Parallel()
	self := clitest.Self(t)
	for _, policy := range []string{"rr", "none"} {
		for seats, words := range map[string][]string{
			"Go, Go":     serving(t, "", "-n", "1"),
			"Go, Node":   serving(t, nodeWorker, "-n", "1"),
			"Node, Go":   {"node", "node/primary.js", "0", "1", self},
			"Node, Node": {"node", "node/primary.js", "0", "1"},
		} {
			t.Run(seats+", "+policy, func(t *testing.T) {
				if strings.Contains(seats, "Node") {
					clitest.NeedNode(t)
				}
				t.Parallel()
				cmd := clitest.Command(t, words...)
				cmd.Env = append(cmd.Env, "NODE_CLUSTER_SCHED_POLICY="+policy)
				r := clitest.LaunchCommand(t, cmd)
				first := r.Get("/")

				_, err := demo.Get(t.Context(), r.Address, "/crash")
				require.Error(t, err)
				r.Await(`worker 1 (crashed|failed) \(code [12]\)`)
				address := r.Await(`serving on http://`) // Node's primary has closed the port in between
				r.Address = address[strings.Index(address, "//")+2:]
				second := r.Get("/")
				require.NotEqual(t, first, second)

				require.NoError(t, syscall.Kill(clitest.PIDIn(t, second), syscall.SIGKILL))
				r.Await(`worker 2 (killed|failed) \(signal (killed|SIGKILL)\)`)
				address = r.Await(`serving on http://`)
				r.Address = address[strings.Index(address, "//")+2:]

				finished := r.Begin("/slow?ms=700")
				require.NoError(t, r.Process.Signal(syscall.SIGTERM))
				require.Regexp(t, `^worker \d+$`, finished())
				r.Await(`worker 3 has left \(code 0\)`)
				r.RequireSuccess()
			})
		}
	}
}

// Whatever ends the primary ends the workers with it.
func TestSoakEndings(t *testing.T) { clitest.RequireEndWithSignal(t, nodeWorker, server) }

func TestEndings(t *testing.T) {
	t.Parallel()
	clitest.RequireEndWhileBusy(t, nodeWorker, 5*time.Second, server)
	clitest.RequireEndWithInterrupt(t, nodeWorker, server)
}

// server is a primary with two workers that listen.
func server(t *testing.T, attr *syscall.SysProcAttr, env []string, worker string) (r *clitest.Running, pids []int) {
	t.Helper()
	cmd := clitest.Command(t, serving(t, worker, "-n", "2")...)
	cmd.Env, cmd.SysProcAttr = append(cmd.Env, env...), attr
	r = clitest.LaunchCommand(t, cmd)
	for met := map[string]bool{}; len(met) < 2; {
		answer := r.Get("/")
		if !met[answer] {
			met[answer] = true
			pids = append(pids, clitest.PIDIn(t, answer))
		}
	}
	return r, pids
}

// SIGTERM to a worker alone is a wish to leave: it finishes what is open, and somebody
// takes its place.
func TestWorkerLeaves(t *testing.T) {
	t.Parallel()
	r := clitest.Launch(t, serving(t, "", "-n", "1")...)
	worker := clitest.PIDIn(t, r.Get("/"))
	finished := r.Begin("/slow?ms=300")
	require.NoError(t, syscall.Kill(worker, syscall.SIGTERM))
	require.Equal(t, fmt.Sprint("worker ", worker), finished())
	r.Await(`worker 2 listens`)
	r.Stop()
}

// Ctrl-C ends the demonstration early, and that is an interruption.
func TestInterruptedDemo(t *testing.T) {
	t.Parallel()
	clitest.RequireInterruptible(t, program05, 5, clitest.Self(t), "-demo")
}

// Who asks sees what goes over the channels.
func TestTrace(t *testing.T) {
	t.Parallel()
	r := clitest.Launch(t, serving(t, "", "-n", "1", "-trace")...)
	r.Get("/")
	out := r.Stop()
	for _, want := range []string{
		`worker 1: .* receive .*"act":"queryServer"`,
		`worker 1: .* send .*NODE_HANDLE.*"act":"newconn".*\+ descriptor`,
		`worker 1: .* receive .*"accepted":true`,
		`worker 1: .* send .*"act":"disconnect"`,
	} {
		require.Regexp(t, want, out)
	}
}

func TestComplaints(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { taken.Close() })
	for _, test := range []struct {
		words string
		code  int
		want  string
	}{
		{"-n 0", 2, "-n 0: there can be 1 to 512 workers"},
		{"-n 513", 2, "there can be 1 to 512 workers"},
		{"-n 1 -demo", 2, "-n 1: there can be 2 to 8 workers"},
		{"-n x", 2, "invalid value"},
		{"-addr=", 2, "-addr is empty"},
		{"-exec=", 2, "-exec is empty"},
		{"-sched fair", 2, `-sched "fair": there are [none rr sticky]`},
		{"-exec node/worker.js -addr 127.0.0.1:0", 2, "-addr is for this program's own workers"},
		{"-exec node/worker.mjs", 2, "-exec node/worker.mjs: there is no such file"},
		{"-status=", 2, "-status is empty"},
		{"-status nowhere", 1, "listen tcp: address nowhere: missing port in address"},
		{"-status " + taken.Addr().String(), 1, "bind: address already in use"},
		{"-demo -status " + taken.Addr().String(), 1, "bind: address already in use"},
		{"-accept 1ms", 2, "-accept 1ms: it must be at least 100ms"},
		{"what", 2, `unexpected arguments ["what"]`},
		{"-what", 2, "not defined"},
		{"-exec ./nobody", 1, "fork/exec ./nobody: no such file or directory"},
		{"-n 1 -exec testdata/fails", 1, "worker 1 never ready (code 1)"},
		{"-demo -exec testdata/fails", 1, "never ready (code 1)"},
	} {
		t.Run(test.words, func(t *testing.T) {
			t.Parallel()
			got := clitest.Run(t, append([]string{clitest.Self(t)}, strings.Fields(test.words)...)...)
			clitest.RequireComplaint(t, got, test.code, program05, test.want)
		})
	}
	t.Run("busy", func(t *testing.T) {
		t.Parallel()
		got := clitest.Run(t, clitest.Self(t), "-n", "1", "-addr", taken.Addr().String())
		require.Equal(t, 1, got.Code)
		require.Contains(t, got.Stderr, "05-cluster: worker 1 never ready (code 1): 05-cluster: listen tcp "+
			taken.Addr().String()+": bind: address already in use\n")
	})
	t.Run("no node", func(t *testing.T) {
		t.Parallel()
		cmd := clitest.Command(t, clitest.Self(t), "-exec", nodeWorker)
		cmd.Env = append(cmd.Env, "PATH=/nowhere")
		clitest.RequireComplaint(t, clitest.Finish(t, cmd), 1, program05, `exec: "node": executable file not found in $PATH`)
	})
}

func TestHelp(t *testing.T) {
	t.Parallel()
	require.Equal(t, clitest.Result{Stdout: usage}, clitest.Run(t, clitest.Self(t), "-h"))
}
