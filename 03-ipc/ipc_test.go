package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// playMain makes this test binary, and the children it forks, behave as the
// program itself: so the race detector sees them all.
const playMain = "PLAY_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(playMain) != "" {
		main()
	}
	os.Exit(m.Run())
}

// result is what a program left behind.
type result struct {
	stdout, stderr string
	code           int
}

// program is a command line that ends with the test, at the latest.
func program(t *testing.T, words ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	// Without the second variable the race detector makes each exit take a second.
	cmd.Env = append(os.Environ(), playMain+"=1", "GORACE=atexit_sleep_ms=0")
	return cmd
}

func runToEnd(t *testing.T, words ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := program(t, words...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	require.NoError(t, cmd.Start())
	cmd.Wait()
	require.True(t, cmd.ProcessState.Exited(), "ended by %v; so far: %s%s", cmd.ProcessState, &stdout, &stderr)
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	require.NoError(t, err)
	return path
}

// needNode is the path of node, or a skipped test.
func needNode(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("node")
	if err == nil {
		return path
	}
	if os.Getenv("REQUIRE_NODE") != "" {
		t.Fatal("REQUIRE_NODE is set, and there is no node")
	}
	t.Skip("no node here: this test needs the real thing")
	return ""
}

// dialogue is a transcript by speaker, with pids as names: the order of lines is
// fixed within a process and free between two.
type dialogue map[string][]string

var theDialogue = dialogue{
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

var spoken = regexp.MustCompile(`^\[(parent|sub) (\d+)\] (.*)$`)

func readDialogue(t *testing.T, out string) dialogue {
	t.Helper()
	lines, names := dialogue{}, []string{}
	for line := range strings.Lines(out) {
		parts := spoken.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		require.NotNil(t, parts, "a line that does not say who speaks: %q", line)
		speaker, pid, text := parts[1], parts[2], parts[3]
		names = append(names, pid, strings.ToUpper(speaker))
		lines[speaker] = append(lines[speaker], text)
	}
	pids := strings.NewReplacer(names...)
	for _, texts := range lines {
		for i, text := range texts {
			texts[i] = pids.Replace(text)
		}
	}
	return lines
}

// Node's own parent and child are the reference: whichever end is in Go, what
// the user sees is the same, and everything ends by itself.
func TestSeatings(t *testing.T) {
	tests := []struct {
		name    string
		needs   func(*testing.T) string
		command []string
	}{
		{"Go parent, Go child", nil, []string{self(t)}},
		{"Go parent, Node child", needNode, []string{self(t), "-child", "node node/sub.js"}},
		{"Node parent, Go child", needNode, []string{"node", "node/parent.js", self(t)}},
		{"Node parent, Node child", needNode, []string{"node", "node/parent.js"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.needs != nil {
				test.needs(t)
			}
			got := runToEnd(t, test.command...)
			require.Equal(t, 0, got.code, got.stderr)
			require.Empty(t, got.stderr)
			if diff := cmp.Diff(theDialogue, readDialogue(t, got.stdout)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A reader can tell from the trace alone how the channel is made.
func TestTrace(t *testing.T) {
	got := runToEnd(t, self(t), "-trace")
	require.Equal(t, 0, got.code, got.stderr)
	for _, want := range []string{
		`\[parent \d+\] [\d:.]+ socketpair two connected AF_UNIX stream sockets: \d+ stays here, \d+ is for the child\n`,
		`\[parent \d+\] [\d:.]+ start      pid \d+ has it as descriptor 3, told by NODE_CHANNEL_FD=3 and NODE_CHANNEL_SERIALIZATION_MODE=json\n`,
		`\[sub \d+\] [\d:.]+ parent     descriptor 3, by NODE_CHANNEL_FD, is a channel: set close-on-exec, variables unset\n`,
		`\[parent \d+\] [\d:.]+ send       18 bytes  {"hello":"HELLO"}\\n\n`,
		`\[parent \d+\] [\d:.]+ receive    14 bytes  {"foo":"bar"}\\n\n`,
		`\[sub \d+\] [\d:.]+ end        0 bytes: end of the stream\n`,
	} {
		require.Regexp(t, want, got.stdout)
	}
}

// Bad input gets one clear line and an exit code that says whose fault it is.
func TestBadInput(t *testing.T) {
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
		{[]string{"boss"}, 2, `unexpected arguments ["boss"]`},
		{[]string{"sub", "sub"}, 2, "unexpected arguments"},
		{[]string{"-child", "true", "sub"}, 2, "the child has no -child"},
		{[]string{"sub"}, 1, "not forked: NODE_CHANNEL_FD is not set"},
		{[]string{"-child", "no-such-program"}, 1, "executable file not found"},
		{[]string{"-child", "./no/such/program"}, 1, "no such file or directory"},
		{[]string{"-child", file}, 1, "permission denied"},
		{[]string{"-child", "true"}, 1, "the child ended without a message"},
	}
	for _, test := range tests {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			got := runToEnd(t, append([]string{self(t)}, test.args...)...)
			require.Equal(t, test.code, got.code)
			require.Contains(t, got.stderr, test.want)
			require.Regexp(t, `^03-ipc( sub)?: .*\n$`, got.stderr)
			require.Equal(t, 1, strings.Count(got.stderr, "\n"), got.stderr)
		})
	}
}

func TestHelp(t *testing.T) {
	got := runToEnd(t, self(t), "-h")
	require.Equal(t, result{stdout: usage}, got)
}

// Ctrl-C while the child says nothing, and would not for a long time: one line,
// 130, and no process is left, though the signal reached only the parent.
func TestInterrupt(t *testing.T) {
	var stderr bytes.Buffer
	cmd := program(t, self(t), "-child", "sleep 1000")
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())

	var child int
	lines := bufio.NewScanner(stdout)
	require.True(t, lines.Scan())
	_, err = fmt.Sscanf(spoken.FindStringSubmatch(lines.Text())[3], "forked %d", &child)
	require.NoError(t, err)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	for lines.Scan() {
	}
	cmd.Wait()

	require.Equal(t, 130, cmd.ProcessState.ExitCode())
	require.Equal(t, "03-ipc: interrupted\n", stderr.String())
	require.ErrorIs(t, syscall.Kill(child, 0), syscall.ESRCH, "the child is left")
}
