package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
)

// nodeCase is a case in which our methods must do what Node's do.
type nodeCase struct {
	name    string
	script  string   // for a shell: exec's own, or /bin/sh -c
	words   []string // or a program and its arguments, which exec joins to a line
	options opts
	path    *string // PATH, if not the test's; "unset" removes it
	only    string  // the methods that have the case, or "" for all
	has     string  // a part of the record that shows that the case has occurred
}

// opts are options of Node, by their names.
type opts = map[string]any

func nodeCases(t *testing.T) []nodeCase {
	moment := int(max(300*time.Millisecond, clitest.Enough(t, 300)).Milliseconds()) // for a shell to start
	return slices.Concat(exitCases(), startCases(t), lookupCases(t), signalCases(moment), streamCases(moment), textCases(), maxBufferCases())
}

// exitCases are programs that end by themselves.
func exitCases() []nodeCase {
	return []nodeCase{
		{name: "nothing", script: `true`, has: `"code":0`},
		{name: "output and errors", script: `echo out; echo err >&2`},
		{name: "exit 3", script: `echo out; exit 3`, has: `"code":3`},
		{name: "exit 255", script: `exit 255`, has: `"code":255`},
		{name: "killed", script: `kill -9 $$`, has: `"signal":"SIGKILL","killed":false`},
		{name: "killed by another signal", script: `echo out; kill -USR1 $$`, has: `"signal":"SIGUSR1"`},
		{name: "closes its output and runs on", script: `exec >&- 2>&-; sleep 0.1; exit 4`, has: `"code":4`},
		{name: "a grandchild holds the output", script: `(sleep 0.2; echo late) & echo early; exit 5`, only: "spawn exec execFile", has: `"code":5`},
		{name: "the variable", script: `echo ${NODE_CHANNEL_FD-none}`, has: `"code":0`},
		{name: "messages", script: `echo 42 >&3; echo '{"a":[1,"中文"]}' >&3; echo '"last message"' >&3; exit 6`, only: "fork", has: `42,{"a":[1,"中文"]},"last message"`},
		{name: "odd messages", script: `echo '{"a":1,"a":2}' >&3; echo ' [ null , true ] ' >&3; exit 1`, only: "fork", has: `"a"`},
		{name: "no channel", script: `echo 42 >&3`, only: "spawn exec execFile", has: `"code":2`},
	}
}

// startCases are programs that cannot be started, or only in a special way.
func startCases(t *testing.T) []nodeCase {
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), mode))
		return path
	}
	return []nodeCase{
		{name: "missing, in PATH", words: []string{"no-such-program", "x"}},
		{name: "missing, by path", words: []string{"/no/such/program", "x"}},
		{name: "not executable", words: []string{file("data", "echo out", 0o644), "x"}},
		{name: "a directory", words: []string{dir, "x"}},
		{name: "through a file", words: []string{"/etc/passwd/program", "x"}},
		{name: "script without #!", words: []string{file("plain", "echo out $# $1; exit 7", 0o755), "x"}, has: `"code":7`},
		{name: "script with a missing interpreter", words: []string{file("lost", "#!/no/such/shell\n", 0o755), "x"}},
		{name: "arguments unchanged", words: []string{"/bin/echo", `$HOME`, `a  b`, `;`, `*`, `"`, `'`, `\`, `中文`}, only: "spawn execFile fork", has: `"code":0`},
		{name: "a shell's line", words: []string{`echo $((6*7)) "a  b" | cat; false`}, only: "exec", has: `"stdout":"42 a  b\n"`},
		{name: "a shell's syntax error", words: []string{`echo 'x`}, only: "exec", has: `"code":2`},
		{name: "has left its group", words: []string{"setsid", "-w", "sh", "-c", `echo out; exit 3`}, only: "spawn execFile"},

		{name: "another directory", script: `pwd`, options: opts{"cwd": "/usr"}, has: `"code":0`},
		{name: "missing directory", script: `true`, options: opts{"cwd": "/no/such/directory"}, has: `"error":"ENOENT"`},
		{name: "a directory that is a file", script: `true`, options: opts{"cwd": "/etc/passwd"}, has: `"error":"ENOTDIR"`},
		{name: "the environment's PWD", script: `printenv PWD`, options: opts{"cwd": "/usr"}, only: "spawn fork"},
	}
}

// lookupCases are programs that are named without a directory, and names that nothing can have.
func lookupCases(t *testing.T) []nodeCase {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), mode))
	}
	const script = "#!/bin/sh\necho $0 $1\n"
	write("good/prog", script, 0o755)
	write("good/plain", "echo $0 $1; exit 7", 0o755)
	write("good/lost", script, 0o755)
	write("bad/prog", script, 0o644)
	write("bad/lost", "#!/no/such/shell\n", 0o755)
	write("directory/prog/file", "", 0o644)
	path := func(elements ...string) *string { return new(strings.Join(elements, ":")) }
	good, bad, directory := filepath.Join(dir, "good"), filepath.Join(dir, "bad"), filepath.Join(dir, "directory")
	inGood := opts{"cwd": good}
	const program, all = "execFile", "spawn execFile fork"
	return []nodeCase{
		{name: "PATH is not set", words: []string{"ls", "/dev/null"}, path: path("unset"), has: `"code":0`},
		{name: "PATH is not set, missing", words: []string{"no-such-program", "x"}, path: path("unset"), only: program, has: `"error":"ENOENT"`},
		{name: "PATH is empty", words: []string{"prog", "x"}, path: path(""), options: inGood, only: program, has: `"code":0`},
		{name: "PATH=.", words: []string{"prog", "x"}, path: path("."), options: inGood, only: all, has: `"code":0`},
		{name: "PATH ends with a colon", words: []string{"prog", "x"}, path: path(bad, ""), options: inGood, only: program, has: `"code":0`},
		{name: "a file in PATH", words: []string{"prog", "x"}, path: path("/etc/passwd", good), only: program, has: `"code":0`},
		{name: "only a file in PATH", words: []string{"prog", "x"}, path: path("/etc/passwd"), only: program, has: `"error":"ENOTDIR"`},
		{name: "found, not executable", words: []string{"prog", "x"}, path: path(bad, "/no/such/directory"), only: all, has: `"error":"EACCES"`},
		{name: "found, a directory", words: []string{"prog", "x"}, path: path(directory), only: program, has: `"error":"EACCES"`},
		{name: "found later, after one that is not executable", words: []string{"prog", "x"}, path: path(bad, directory, good), only: program, has: `"code":0`},
		{name: "found later, after one without an interpreter", words: []string{"lost", "x"}, path: path(bad, good), only: program, has: `"code":0`},
		{name: "found, script without #!", words: []string{"plain", "x"}, path: path(good), only: all, has: `"code":7`},
		{name: "not found, missing directory", words: []string{"prog", "x"}, path: path(bad), options: opts{"cwd": "/no/such/directory"}, only: program, has: `"error":"ENOENT"`},
		{name: "an empty name", words: []string{"", "x"}, only: "spawn execFile", has: `"error":"ERR_INVALID_ARG_VALUE"`},
		{name: "a name of 255 bytes", words: []string{strings.Repeat("x", 255), "x"}, only: program, has: `"error":"ENOENT"`},
		{name: "a name of 256 bytes", words: []string{strings.Repeat("x", 256), "x"}, only: all, has: `"error":"ENAMETOOLONG"`},
		{name: "a path of 5000 bytes", words: []string{"/" + strings.Repeat("x", 5000), "x"}, only: program, has: `"error":"ENAMETOOLONG"`},
	}
}

// textCases are programs with output that is not all UTF-8, or comes in pieces.
func textCases() []nodeCase {
	const streams = "spawn execFile"
	twice := func(text string) string { return `printf '` + text + `'; printf '` + text + `' >&2` }
	return []nodeCase{
		{name: "characters in many pieces", script: `printf x; yes 你 | head -n 40000`, only: streams, has: `你\n你`},
		{name: "a character in two pieces", script: `printf '\344\275'; sleep 0.1; printf '\240'`, only: streams, has: `"stdout":"你"`},
		{name: "a character cut off at the end", script: twice(`x\360\237\230`), only: streams, has: `"stdout":"x�","stderr":"x�"`},
		{name: "characters cut off", script: twice(`\344\275x\344\275\344\275\303\303\251`), only: streams, has: `"stdout":"�x���é"`},
		{name: "bytes of no character", script: twice(`\377\300\200\355\240\200\364\220\200\200\200`), only: streams, has: `�`},
		{name: "a message that is cut off within a character", script: `printf '"\344\275x\377"\n' >&3`, only: "fork", has: `"�x�"`},
		{name: "maxBuffer within a long character", script: `printf '12😀3'`, options: opts{"maxBuffer": 5}, only: "exec execFile", has: `"stdout":"12�"`},
	}
}

// signalCases are programs that get a signal, a moment after their start or later: at a
// deadline, or when they are canceled.
func signalCases(moment int) []nodeCase {
	const trapTERM = `sleep 60 >/dev/null 2>&1 & trap "kill $! 2>/dev/null; exit %d" TERM; echo out; wait`
	return []nodeCase{
		{name: "timeout", script: `echo out; exec sleep 60`, options: opts{"timeout": moment}, has: `"signal":"SIGTERM","killed":true`},
		{name: "timeout, a grandchild holds the output", script: `echo out; ` + sleep(3*moment) + ` & wait`, options: opts{"timeout": moment}, has: `"signal":"SIGTERM","killed":true`},
		{name: "timeout, SIGINT", script: `exec sleep 60`, options: opts{"timeout": moment, "killSignal": "SIGINT"}, has: `"signal":"SIGINT","killed":true`},
		{name: "timeout, SIGKILL", script: `trap '' TERM; exec sleep 60`, options: opts{"timeout": moment, "killSignal": "SIGKILL"}, has: `"signal":"SIGKILL","killed":true`},
		{name: "timeout, exits with code 0", script: fmt.Sprintf(trapTERM, 0), options: opts{"timeout": 2 * moment}, has: `"code":0`},
		{name: "timeout, exits with code 5", script: fmt.Sprintf(trapTERM, 5), options: opts{"timeout": 2 * moment}, has: `"code":5,"signal":null,"killed":true`},
		{name: "timeout while it waits for input", script: `cat`, options: opts{"timeout": moment}, only: "spawn exec execFile", has: `"signal":"SIGTERM","killed":true`},
		{name: "a timeout that is not reached", script: `exit 3`, options: opts{"timeout": int(clitest.Never.Milliseconds())}, has: `"code":3,"signal":null,"killed":false`},
		{name: "canceled", script: `echo out; exec sleep 60`, options: opts{"abort": moment}, has: `"error":"ABORT_ERR"`},
		{name: "canceled, exits with code 0", script: fmt.Sprintf(trapTERM, 0), options: opts{"abort": 2 * moment}, has: `"error":"ABORT_ERR"`},
		{name: "canceled, ignores the signal", script: `trap '' TERM; ` + sleep(3*moment) + `; exit 0`, options: opts{"abort": moment}, has: `"error":"ABORT_ERR"`},
	}
}

// sleep returns a shell's command that takes a number of milliseconds.
func sleep(ms int) string { return fmt.Sprintf("sleep %d.%03d", ms/1000, ms%1000) }

// streamCases are programs with a grandchild that holds their streams open, some of them
// beyond a deadline.
func streamCases(moment int) []nodeCase {
	return []nodeCase{
		{name: "gone before the deadline, streams open", script: sleep(6*moment) + ` & exit 3`, options: opts{"timeout": 2 * moment}, only: "exec execFile", has: `"code":3,"signal":null,"killed":true`},
		{name: "gone before the deadline, streams end later", script: sleep(6*moment) + ` & exit 3`, options: opts{"timeout": 2 * moment}, only: "spawn fork", has: `"code":3,"signal":null,"killed":false`},
		{name: "gone before the cancel, streams end later", script: sleep(6*moment) + ` & exit 3`, options: opts{"abort": 2 * moment}, only: "spawn fork", has: `"code":3`},
		{name: "a grandchild reads the input to its end", script: `exec 3<&0; (cat <&3; echo eof) & exit 2`, only: "spawn exec execFile", has: `"stdout":"eof\n"`},
	}
}

// maxBufferCases are programs that print as much as exec and execFile keep, or more.
func maxBufferCases() []nodeCase {
	const mebibyte = `head -c 1048576 /dev/zero | tr '\0' x`
	return []nodeCase{
		{name: "1 MiB", script: mebibyte, only: "spawn exec execFile", has: `xxx`},
		{name: "1 MiB and a byte", script: mebibyte + `; echo`, only: "exec execFile", has: `"error":"ERR_CHILD_PROCESS_STDIO_MAXBUFFER"`},
		{name: "1 MiB and a byte, errors", script: `(` + mebibyte + `; echo) >&2`, only: "exec execFile", has: `"error":"ERR_CHILD_PROCESS_STDIO_MAXBUFFER"`},
		{name: "maxBuffer reached", script: `printf 12345; printf abcde >&2`, options: opts{"maxBuffer": 5}, only: "exec execFile", has: `"code":0`},
		{name: "maxBuffer exceeded", script: `printf 123456; exec sleep 60`, options: opts{"maxBuffer": 5}, only: "exec execFile", has: `"stdout":"12345","stderr":"","error":"ERR_CHILD_PROCESS_STDIO_MAXBUFFER"`},
		{name: "maxBuffer within a character", script: `printf 123é6`, options: opts{"maxBuffer": 4}, only: "exec execFile", has: `"stdout":"123�"`},
	}
}

// Our methods must make the same record of every case as Node's. Only the time may
// differ: when a grandchild holds the streams after a timeout, Node's spawn and fork wait
// for it, and ours end it.
func TestSameAsNode(t *testing.T) {
	t.Parallel()
	clitest.NeedNode(t)
	cases := nodeCases(t)
	require.GreaterOrEqual(t, len(cases), 60)
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			// All methods run at the same time, because many cases wait.
			finish := map[string][2]func() clitest.Result{}
			for _, m := range methods {
				if test.only == "" || slices.Contains(strings.Fields(test.only), m.name) {
					finish[m.name] = [2]func() clitest.Result{
						clitest.Start(t, test.nodeCommand(t, m.name)),
						clitest.Start(t, test.goCommand(t, m.name)),
					}
				}
			}
			require.NotEmpty(t, finish)
			for method, both := range finish {
				fromNode, fromGo := both[0](), both[1]()
				require.Equal(t, 0, fromNode.Code, fromNode.Stderr)
				require.Contains(t, fromGo.Stdout, test.has, method)
				if diff := cmp.Diff(decode(t, fromNode), decode(t, fromGo)); diff != "" {
					t.Errorf("%s: Node -, Go +\n%s", method, diff)
				}
			}
		})
	}
}

// arguments returns what follows the name of a method.
func (c nodeCase) arguments(method string) []string {
	switch {
	case c.words != nil && method == "exec":
		return []string{strings.Join(c.words, " ")}
	case c.words != nil:
		return c.words
	case method == "exec":
		return []string{c.script}
	}
	return []string{"/bin/sh", "-c", c.script}
}

func (c nodeCase) nodeCommand(t *testing.T, method string) *exec.Cmd {
	t.Helper()
	options, err := json.Marshal(c.options)
	require.NoError(t, err)
	cmd := clitest.Command(t, append([]string{"node", "node/" + strings.ToLower(method) + ".js"}, c.arguments(method)...)...)
	if c.options != nil {
		cmd.Env = append(cmd.Env, "OPTIONS="+string(options))
	}
	return c.withPath(cmd)
}

func (c nodeCase) withPath(cmd *exec.Cmd) *exec.Cmd {
	switch {
	case c.path == nil:
	case *c.path == "unset":
		cmd.Env = slices.DeleteFunc(cmd.Env, func(v string) bool { return strings.HasPrefix(v, "PATH=") })
	default:
		cmd.Env = append(cmd.Env, "PATH="+*c.path)
	}
	return cmd
}

func (c nodeCase) goCommand(t *testing.T, method string) *exec.Cmd {
	t.Helper()
	words := []string{clitest.Self(t)}
	for option, value := range c.options {
		if option == "timeout" || option == "abort" {
			value = fmt.Sprint(value, "ms")
		}
		words = append(words, fmt.Sprintf("-%s=%v", option, value))
	}
	return c.withPath(clitest.Command(t, slices.Concat(words, []string{method}, c.arguments(method))...))
}

// decode returns the result of a program, with its last line, the record, as a value.
func decode(t *testing.T, r clitest.Result) map[string]any {
	t.Helper()
	inherited, last := "", strings.TrimSuffix(r.Stdout, "\n")
	if i := strings.LastIndexByte(last, '\n'); i >= 0 {
		inherited, last = last[:i], last[i+1:]
	}
	var record any
	require.NoError(t, json.Unmarshal([]byte(last), &record), last)
	return map[string]any{"record": record, "stdout": inherited, "stderr": r.Stderr, "code": r.Code}
}
