package main

import (
	"fmt"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/05-cluster/cluster"
	"playing-with-processes/internal/clitest"
	"playing-with-processes/internal/demo"
)

// The first lines say what to try, and every line names the process that wrote it.
func TestFirstLines(t *testing.T) {
	t.Parallel()
	r := clitest.Launch(t, commandLine(t, "", "-n", "1")...)
	r.Await("Ctrl-C stops; a second one does not wait")
	out := r.Stop()
	for _, curl := range regexp.MustCompile(`curl '?([^' ]+)`).FindAllStringSubmatch(out, -1) {
		require.True(t, strings.HasPrefix(curl[1], r.Address+"/"), curl[1])
	}
	_, unnamed := clitest.ParseLines(out)
	require.Empty(t, unnamed)
}

// The demonstration plays all of its episodes. It loses no request that no worker had
// accepted, and none by a reload.
func TestDemo(t *testing.T) {
	testDemo(t, func(policy cluster.Policy, worker string) bool { return worker == "" || policy == cluster.RoundRobin })
}

// The same holds for the others.
func TestSoakDemo(t *testing.T) {
	clitest.NeedSoak(t)
	testDemo(t, func(policy cluster.Policy, worker string) bool { return worker != "" && policy != cluster.RoundRobin })
}

func testDemo(t *testing.T, chosen func(cluster.Policy, string) bool) {
	for _, policy := range cluster.Policies() {
		t.Run(string(policy), func(t *testing.T) {
			clitest.Each(t, nodeWorker, func(t *testing.T, worker string) {
				if !chosen(policy, worker) {
					t.Skip("in the other test")
				}
				accept := max(2*demo.Quiet, clitest.Enough(t, 500))
				got := clitest.Run(t, commandLine(t, worker, "-demo", "-sched", string(policy), "-accept", accept.String())...)
				require.Zero(t, got.Code, got.Stderr)
				requireDemoOutput(t, policy, accept, got.Stdout)
			})
		})
	}
}

func requireDemoOutput(t *testing.T, policy cluster.Policy, accept time.Duration, out string) {
	t.Helper()
	for _, want := range []string{
		`(?m)^worker \d+ +\d+  signal killed\nworker \d+ +\d+  signal killed\nworker \d+`,
		`(?m)^\d+ requests, each on a new connection and none repeated; failed:\n` +
			`L0, L1 .* 0\nL2 .* 0  \(\d+ came back from a dead worker, and were answered\)\nL3 .* \d+\nL4 .* [1-9]\d*$`,
		`reload: all workers are new, after .*`,
		`reload: stopped; 0 replaced, 2 as before: worker \d+ was never ready \(code 1\): .*203.0.113.1:1337: bind: `,
	} {
		require.Regexp(t, want, out)
	}
	if policy != cluster.None { // under which Node 26 drops connections that have just been made
		require.Len(t, regexp.MustCompile(`it took .*; of \d+ requests that ended meanwhile 0 failed`).FindAllString(out, -1), 2)
		require.Contains(t, out, fmt.Sprintf("it has not accepted a connection for %v", accept))
	}
	if policy == cluster.RoundRobin {
		require.Regexp(t, `idle workers take turns: worker \d+ answered [3-6]\d, worker \d+ answered [3-6]\d`, out)
	}
	for line := range strings.Lines(out) {
		require.LessOrEqual(t, len(line), 180, line)
	}
}

// Ctrl-C ends the demonstration early, as an interruption.
func TestInterruptedDemo(t *testing.T) {
	t.Parallel()
	clitest.RequireInterruptible(t, name, 5, clitest.Self(t), "-demo")
}

// -trace shows each line on the channels.
func TestTrace(t *testing.T) {
	t.Parallel()
	r := clitest.Launch(t, commandLine(t, "", "-n", "1", "-trace")...)
	r.Get("/")
	out := r.Stop()
	for _, want := range []string{
		`channel 1: .* receive .*"act":"queryServer"`,
		`channel 1: .* send .*NODE_HANDLE.*"act":"newconn".*\+ descriptor`,
		`channel 1: .* receive .*"accepted":true`,
		`channel 1: .* send .*"act":"disconnect"`,
	} {
		require.Regexp(t, want, out)
	}
}

// Wrong input is answered with one line and an exit code.
func TestErrors(t *testing.T) {
	t.Parallel()
	taken := takePort(t)
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
		{"-status " + taken, 1, "bind: address already in use"},
		{"-demo -status " + taken, 1, "bind: address already in use"},
		{"-watch=", 2, "-watch is empty"},
		{"-watch=nowhere", 1, "-watch: listen tcp: address nowhere: missing port in address"},
		{"-watch=" + taken, 1, "bind: address already in use"},
		{"-demo -watch", 2, "-watch is not for -demo"},
		{"-accept 1ms", 2, "-accept 1ms: it must be at least 100ms"},
		{"-ready 0s", 2, "-ready 0s: it must be more than 0"},
		{"-drain 0s", 2, "-drain 0s: it must be more than 0"},
		{"what", 2, `unexpected arguments ["what"]`},
		{"-what", 2, "not defined"},
		{"-exec ./missing", 1, "fork/exec ./missing: no such file or directory"},
		{"-n 1 -exec testdata/fails", 1, "was never ready (code 1)"},
		{"-demo -exec testdata/fails", 1, "was never ready (code 1)"},
	} {
		t.Run(test.words, func(t *testing.T) {
			t.Parallel()
			got := clitest.Run(t, append([]string{clitest.Self(t)}, strings.Fields(test.words)...)...)
			clitest.RequireError(t, got, test.code, name, test.want)
		})
	}
}

// takePort listens on a free port, and returns its address.
func takePort(t *testing.T) string {
	t.Helper()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { taken.Close() })
	return taken.Addr().String()
}

// An error of the first worker ends the primary, which repeats it.
func TestPortInUse(t *testing.T) {
	t.Parallel()
	taken := takePort(t)
	got := clitest.Run(t, clitest.Self(t), "-n", "1", "-addr", taken)
	require.Equal(t, 1, got.Code)
	require.Regexp(t, `05-cluster: worker \d+ was never ready \(code 1\): 05-cluster: listen tcp `+
		taken+": bind: address already in use\n$", got.Stderr)
}

// Where there is no Node, the error says so.
func TestNoNode(t *testing.T) {
	t.Parallel()
	cmd := clitest.Command(t, clitest.Self(t), "-exec", nodeWorker)
	cmd.Env = append(cmd.Env, "PATH=/nowhere")
	clitest.RequireError(t, clitest.Finish(t, cmd), 1, name, `exec: "node": executable file not found in $PATH`)
}

func TestHelp(t *testing.T) {
	t.Parallel()
	require.Equal(t, clitest.Result{Stdout: usage}, clitest.Run(t, clitest.Self(t), "-h"))
}
