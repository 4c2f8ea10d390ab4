// Package clitest runs a chapter's command from the chapter's own tests.
package clitest

import (
	"bufio"
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/demo"
)

// playMain makes a test binary behave as the command itself.
const playMain = "PLAY_MAIN"

// noExitSleep prevents that the race detector makes each exit take a second.
const noExitSleep = "GORACE=atexit_sleep_ms=0"

// environment makes a started test binary behave as the command, and marks the processes of
// one test: several tests may run side by side.
func environment(t *testing.T) (variables []string, mark string) {
	mark = fmt.Sprintf("STARTED_FOR=%s %d", t.Name(), tests.Add(1))
	return []string{playMain + "=1", noExitSleep, mark}, mark
}

var tests atomic.Int64

// Main is the TestMain of a chapter. The test binary that Command starts, and the children
// that it forks, run main, so the race detector covers them all.
func Main(m *testing.M, main func()) {
	if os.Getenv(playMain) != "" {
		main()
		os.Exit(0)
	}
	Prepare()
	os.Exit(m.Run())
}

// Prepare is for a TestMain of other tests that use Command. Call it first.
func Prepare() {
	flag.Set("test.parallel", "12")     // tests of processes wait more than they work
	if signal.Ignored(syscall.SIGHUP) { // by nohup; a child would inherit that
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	}
	adoptOrphans()
}

// Result is the output and the exit code of a command.
type Result struct {
	Stdout, Stderr string
	Code           int
}

// Self returns the path of the test binary.
func Self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	require.NoError(t, err)
	return path
}

// Command returns a command line that ends with the test at the latest. If it leaves a
// process behind, the test fails.
func Command(t *testing.T, words ...string) *exec.Cmd {
	t.Helper()
	variables, mark := environment(t)
	t.Cleanup(func() { requireNoOrphans(t, mark) })
	cmd := exec.CommandContext(Context(t), words[0], words[1:]...)
	cmd.WaitDelay = time.Minute // a process that it leaves behind may hold its output
	cmd.Env = append(os.Environ(), variables...)
	return cmd
}

// Run runs a command line, which must exit.
func Run(t *testing.T, words ...string) Result {
	t.Helper()
	return Finish(t, Command(t, words...))
}

// Finish runs cmd, which must exit.
func Finish(t *testing.T, cmd *exec.Cmd) Result {
	t.Helper()
	return Start(t, cmd)()
}

// Start starts cmd. The returned function waits for its end, which must be an exit.
func Start(t *testing.T, cmd *exec.Cmd) (finish func() Result) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	require.NoError(t, cmd.Start())
	return func() Result {
		t.Helper()
		cmd.Wait()
		require.True(t, cmd.ProcessState.Exited(), "ended by %v; so far: %s%s", cmd.ProcessState, &stdout, &stderr)
		return Result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
	}
}

// RunLimited runs this command as a user without other processes, under a limit in the
// words of a shell's ulimit: "-u 40" allows 40 processes and threads. Only root can become
// another user; for other users the test is skipped.
func RunLimited(t *testing.T, limit string, args ...string) Result {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root, to become a user without other processes")
	}
	program, err := os.ReadFile(Self(t))
	require.NoError(t, err)
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		require.NoError(t, os.Chmod(d, 0o755))
	}
	copied := filepath.Join(dir, filepath.Base(Self(t)))
	require.NoError(t, os.WriteFile(copied, program, 0o755))
	cmd := Command(t, append([]string{"bash", "-c", "ulimit " + limit + ` && exec "$0" "$@"`, copied}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 54321, Gid: 54321}}
	cmd.Dir = "/"
	return Finish(t, cmd)
}

// RequireError requires that the command failed with this exit code and one line, which
// begins with its name and contains want.
func RequireError(t *testing.T, got Result, code int, name, want string) {
	t.Helper()
	require.Equal(t, code, got.Code, got.Stderr)
	require.Contains(t, got.Stderr, want)
	require.True(t, strings.HasPrefix(got.Stderr, name+": "), got.Stderr)
	require.Equal(t, 1, strings.Count(got.Stderr, "\n"), got.Stderr)
}

// ForkSelf makes the processes that the test itself forks behave as the command. It returns
// a logger for what the command would print.
func ForkSelf(t *testing.T) *log.Logger {
	t.Helper()
	variables, mark := environment(t)
	for _, variable := range variables {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
	t.Cleanup(func() { requireNoOrphans(t, mark) })
	return log.New(t.Output(), "", 0)
}

// Line is a line of output that names its process.
type Line struct{ Role, PID, Text string }

var named = regexp.MustCompile(`^\[(\w+) (\d+)\] (.*)$`)

// ParseLines splits a command's output into the lines that name their process, and the
// others.
func ParseLines(out string) (lines []Line, others []string) {
	for line := range strings.Lines(out) {
		line = strings.TrimSuffix(line, "\n")
		if parts := named.FindStringSubmatch(line); parts != nil {
			lines = append(lines, Line{parts[1], parts[2], parts[3]})
		} else {
			others = append(others, line)
		}
	}
	return lines, others
}

var wholeNumber = regexp.MustCompile(`\d+`)

// NameProcesses replaces each process id in a text by its name. A process id in a longer number
// stays: processes may have small ids.
func NameProcesses(text string, names map[string]string) string {
	return wholeNumber.ReplaceAllStringFunc(text, func(number string) string {
		return cmp.Or(names[number], number)
	})
}

// RequireInterruptible starts a command that would run for long, and interrupts it after
// its first lines: once the command alone, and once its children as well, as Ctrl-C in a
// terminal does. It requires the exit code and the message of an interruption.
func RequireInterruptible(t *testing.T, name string, lines int, words ...string) {
	t.Helper()
	for _, group := range []int{1, -1} {
		var stderr bytes.Buffer
		cmd := Command(t, words...)
		cmd.Stderr = &stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		stdout, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		out := bufio.NewScanner(stdout)
		for range lines {
			require.True(t, out.Scan(), "too few lines")
		}
		require.NoError(t, syscall.Kill(group*cmd.Process.Pid, syscall.SIGINT))
		for out.Scan() {
		}
		cmd.Wait()
		require.Equal(t, 130, cmd.ProcessState.ExitCode())
		require.Equal(t, name+": interrupted\n", stderr.String())
	}
}

// Soak reports whether the tests are to take long.
func Soak() bool { return os.Getenv("SOAK") != "" }

// NeedSoak skips a test that is too long for the others.
func NeedSoak(t *testing.T) {
	t.Helper()
	if !Soak() {
		t.Skip("only with SOAK=1")
	}
}

// Rest returns how long a client under load rests between two requests. The soak tests have
// the machine to themselves; other tests run side by side.
func Rest() time.Duration {
	if Soak() {
		return 0
	}
	return demo.Rest
}

// Times returns how often a test repeats its steps.
func Times(short, long int) int {
	if Soak() {
		return long
	}
	return short
}

// NeedNode skips the test where there is no Node, or fails it if REQUIRE_NODE is set.
func NeedNode(t *testing.T) {
	t.Helper()
	Need(t, "node")
}

// Need is NeedNode for any program.
func Need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	if os.Getenv("REQUIRE_NODE") != "" {
		t.Fatalf("REQUIRE_NODE is set, and %s is not in PATH", program)
	}
	t.Skipf("this test needs %s, which is not in PATH", program)
}

// Each runs a test side by side with Go workers, for which worker is "", and with Node
// workers, for which it is nodeWorker.
func Each(t *testing.T, nodeWorker string, test func(t *testing.T, worker string)) {
	t.Parallel()
	t.Run("Go", func(t *testing.T) {
		t.Parallel()
		test(t, "")
	})
	t.Run("Node", func(t *testing.T) {
		NeedNode(t)
		t.Parallel()
		test(t, nodeWorker)
	})
}
