package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
)

func TestMain(m *testing.M) { clitest.Main(m, main) }

// transcript has the lines of each process, with names for pids. Only the order of the
// lines of one process is fixed.
type transcript map[string][]string

var wantTranscript = transcript{
	"parent": {
		"forked SUB",
		`sent {"hello":"HELLO"}`,
		`message from child SUB: {"foo":"bar"}`,
		"child SUB exited with code 0",
	},
	"sub": {
		`sent {"foo":"bar"}`,
		`message from parent PARENT: {"hello":"HELLO"}`,
		"the parent has disconnected",
	},
}

func parseTranscript(t *testing.T, out string) transcript {
	t.Helper()
	lines, others := clitest.ParseLines(out)
	require.Empty(t, others, "lines that do not name their process")
	names, parsed := map[string]string{}, transcript{}
	for _, line := range lines {
		names[line.PID] = strings.ToUpper(line.Role)
	}
	for _, line := range lines {
		parsed[line.Role] = append(parsed[line.Role], clitest.NameProcesses(line.Text, names))
	}
	return parsed
}

// Any pair of a Go or Node parent and a Go or Node child must print the same lines and
// exit. Node's parent and child are the reference.
func TestPairs(t *testing.T) {
	tests := []struct {
		name    string
		needs   func(*testing.T)
		command []string
	}{
		{"Go parent, Go child", nil, []string{clitest.Self(t)}},
		{"Go parent, Node child", clitest.NeedNode, []string{clitest.Self(t), "-child", "node node/sub.js"}},
		{"Node parent, Go child", clitest.NeedNode, []string{"node", "node/parent.js", clitest.Self(t)}},
		{"Node parent, Node child", clitest.NeedNode, []string{"node", "node/parent.js"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.needs != nil {
				test.needs(t)
			}
			got := clitest.Run(t, test.command...)
			require.Equal(t, 0, got.Code, got.Stderr)
			require.Empty(t, got.Stderr)
			require.Empty(t, cmp.Diff(wantTranscript, parseTranscript(t, got.Stdout)))
		})
	}
}

// The trace must show each step that makes the channel, and each line on it.
func TestTrace(t *testing.T) {
	got := clitest.Run(t, clitest.Self(t), "-trace")
	require.Equal(t, 0, got.Code, got.Stderr)
	for _, want := range []string{
		`\[parent \d+\] [\d:.]+ socketpair two connected AF_UNIX stream sockets: \d+ stays here, \d+ is for the child\n`,
		`\[parent \d+\] [\d:.]+ start      pid \d+ has it as descriptor 3, announced by NODE_CHANNEL_FD=3 and NODE_CHANNEL_SERIALIZATION_MODE=json\n`,
		`\[sub \d+\] [\d:.]+ parent     descriptor 3, from NODE_CHANNEL_FD, is a channel: set close-on-exec, variables unset\n`,
		`\[parent \d+\] [\d:.]+ send       18 bytes  {"hello":"HELLO"}\\n\n`,
		`\[parent \d+\] [\d:.]+ receive    14 bytes  {"foo":"bar"}\\n\n`,
		`\[sub \d+\] [\d:.]+ end        0 bytes: end of the stream\n`,
	} {
		require.Regexp(t, want, got.Stdout)
	}
}

// An error must be reported in one line. The exit code must be 2 for wrong usage, and 1
// for a failure.
func TestErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	tests := []struct {
		args []string
		code int
		want string
	}{
		{[]string{"-x"}, 2, "flag provided but not defined: -x"},
		{[]string{"-child"}, 2, "flag needs an argument: -child"},
		{[]string{"-trace=maybe"}, 2, "invalid boolean value"},
		{[]string{"role"}, 2, `unexpected arguments ["role"]`},
		{[]string{"sub", "sub"}, 2, "unexpected arguments"},
		{[]string{"-child", "true", "sub"}, 2, "the child has no -child"},
		{[]string{"sub"}, 1, "sub: not forked: NODE_CHANNEL_FD is not set"},
		{[]string{"-child", "no-such-program"}, 1, "executable file not found"},
		{[]string{"-child", "./no/such/program"}, 1, "no such file or directory"},
		{[]string{"-child", file}, 1, "permission denied"},
		{[]string{"-child", "true"}, 1, "the child ended without a message"},
		{[]string{"-child", clitest.Script(t, "echo 42 >&3; exit 2")}, 1, "the child failed: code 2"},
	}
	for _, test := range tests {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			got := clitest.Run(t, append([]string{clitest.Self(t)}, test.args...)...)
			clitest.RequireError(t, got, test.code, "03-ipc", test.want)
		})
	}
}

func TestHelp(t *testing.T) {
	got := clitest.Run(t, clitest.Self(t), "-h")
	require.Equal(t, clitest.Result{Stdout: usage}, got)
}

// Ctrl-C must end both processes while the child sends nothing, even if only the parent
// receives the signal.
func TestInterrupt(t *testing.T) {
	clitest.RequireInterruptible(t, "03-ipc", 1, clitest.Self(t), "-child", "sleep 1000")
}
