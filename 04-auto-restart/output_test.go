package main

import (
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
)

// The first lines say what to try, and every line names the process that wrote it.
func TestFirstLines(t *testing.T) {
	r := startPrimary(t, 1, "")
	r.Await("is ready")
	out := r.Stop()
	for _, hint := range []string{"/crash", "/retire", "/hang", "/slow", "kill -9", "Ctrl-C"} {
		require.Contains(t, out, hint)
	}
	for _, curl := range regexp.MustCompile(`curl '?([^' ]+)`).FindAllStringSubmatch(out, -1) {
		require.True(t, strings.HasPrefix(curl[1], r.Address+"/"), curl[1])
	}
	_, unnamed := clitest.ParseLines(out)
	require.Empty(t, unnamed)
}

// The demonstration plays all of its episodes. No connection is refused and no request
// hangs.
func TestDemo(t *testing.T) {
	clitest.Each(t, nodeWorker, func(t *testing.T, worker string) {
		got := clitest.Run(t, clitest.Self(t), "-demo", "-worker", worker)
		require.Zero(t, got.Code, got.Stderr)
		for _, want := range []string{
			`worker \d+ answered \d+, worker \d+ answered \d+: they race`,
			`no heartbeat for 3s`,
			`restarts are suspended: more than 10 in 10s`,
			`the next attempt starts in \d`,
			`the first error was: cannot start a worker: fork: fork/exec ./removed: no such file or directory`,
			`restarts are on again`,
			`(?m)^a crash +\S+ +\d+\nkill -9 +\S+ +\d+\nretire +\S+ +0\na freeze +([2-9]|\d\d+)\.\d+s +\d+\na crash loop +\S+s +\d+\n`,
			`(?m)^ +0 refused\n +0 without an answer or an end$`,
		} {
			require.Regexp(t, want, got.Stdout)
		}
		for line := range strings.Lines(got.Stdout) {
			require.LessOrEqual(t, len(line), 150, line)
		}
	})
}

// Ctrl-C ends the demonstration early, as an interruption.
func TestInterruptedDemo(t *testing.T) {
	t.Parallel()
	clitest.RequireInterruptible(t, name, 5, clitest.Self(t), "-demo")
}

// The output of a stable worker is passed on. After a failure it is passed on as soon as
// the replacement has proved stable.
func TestWorkerOutput(t *testing.T) {
	t.Parallel()
	once := filepath.Join(t.TempDir(), "once")
	r := startScript(t, 1, `mkdir `+once+` 2>/dev/null && exit 1
		echo hello again >&2; read server <&3; echo '{"act":"ready"}' >&3; read stop <&3; echo good bye >&2`)
	r.Await("is ready")
	r.Await("hello again")
	require.Contains(t, r.Stop(), "good bye")
}

// In a crash loop every worker prints the same. All of it is passed on once, and its
// error line each time.
func TestCrashLoopOutput(t *testing.T) {
	t.Parallel()
	r := startScript(t, 1, "echo a long story >&2; echo no database >&2; exit 3")
	require.Contains(t, r.Await("first error was"), "was never ready (code 3): no database")
	out := r.Stop()
	require.Equal(t, 1, strings.Count(out, "a long story"), out)
	require.Equal(t, 6+1, strings.Count(out, "was never ready (code 3): no database"), out)
	require.NotContains(t, out, "restarts are on again")
}

// -trace shows each line on the channels.
func TestTrace(t *testing.T) {
	t.Parallel()
	r := clitest.Launch(t, clitest.Self(t), "-addr", "127.0.0.1:0", "-n", "1", "-trace")
	r.Await(`channel 1: .* send .*"type":"net.Server","msg":"server"`)
	r.Await(`channel 1: .* receive .*"act":"ready"`)
	require.Contains(t, r.Stop(), `{"act":"stop","within":`)
}

// Wrong input is answered with one line and an exit code.
func TestErrors(t *testing.T) {
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
		{[]string{"-demo", "-worker", "./missing"}, 1, "fork/exec ./missing: no such file or directory"},
		{[]string{"-demo", "-worker", "sleep 60", "-ready", "100ms", "-drain", "100ms"}, 1, "was never ready (signal killed): still starting after 100ms"},
		{[]string{"-ready", "0s"}, 2, "-ready 0s: it must be more than 0"},
		{[]string{"-drain", "0s"}, 2, "-drain 0s: it must be more than 0"},
		{[]string{"-addr", "nonsense"}, 1, "missing port in address"},
		{[]string{"-addr", "127.0.0.1:99999"}, 1, "invalid port"},
		{[]string{"-addr", "192.0.2.1:0"}, 1, "cannot assign requested address"},
		{[]string{"-addr", ""}, 2, "-addr is empty"},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			got := clitest.Run(t, append([]string{clitest.Self(t)}, test.args...)...)
			clitest.RequireError(t, got, test.code, name, test.want)
		})
	}
}

// Too few descriptors must be an error in one line.
func TestFewDescriptors(t *testing.T) {
	for limit := 5; limit <= 8; limit++ {
		got := clitest.Run(t, "sh", "-c", fmt.Sprintf(`ulimit -n %d && exec "$0" -addr 127.0.0.1:0`, limit), clitest.Self(t))
		clitest.RequireError(t, got, 1, name, "too many open files")
	}
}

func TestHelp(t *testing.T) {
	require.Equal(t, clitest.Result{Stdout: usage}, clitest.Run(t, clitest.Self(t), "-h"))
}
