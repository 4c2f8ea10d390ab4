package clitest

import (
	"bufio"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Running is a running server: a primary with its workers. Its methods are for the test's
// own goroutine, and fail the test themselves.
type Running struct {
	*exec.Cmd
	Address string // host and port
	t       *testing.T

	mu      sync.Mutex
	changed *sync.Cond
	lines   []string
	ended   bool
	seen    int // lines that Await has passed
}

// Launch is LaunchCommand for a command line.
func Launch(t *testing.T, words ...string) *Running {
	t.Helper()
	return LaunchCommand(t, Command(t, words...))
}

// LaunchCommand starts cmd, which comes from Command, and waits until it has printed its
// address: in its first line with http://. It reads both outputs of cmd.
func LaunchCommand(t *testing.T, cmd *exec.Cmd) *Running {
	t.Helper()
	r := &Running{Cmd: cmd, t: t}
	r.changed = sync.NewCond(&r.mu)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = cmd.Stdout
	require.NoError(t, cmd.Start())
	go r.read(bufio.NewScanner(out))
	_, address, _ := strings.Cut(r.Await(`http://`), "http://")
	r.Address = strings.TrimSuffix(strings.Fields(address)[0], ";")
	return r
}

func (r *Running) read(out *bufio.Scanner) {
	for out.Scan() {
		r.mu.Lock()
		r.lines = append(r.lines, out.Text())
		r.mu.Unlock()
		r.changed.Broadcast()
	}
	r.mu.Lock()
	r.ended = true
	r.mu.Unlock()
	r.changed.Broadcast()
}

// Await waits for the next line that matches, and returns it. It never returns a line
// twice, nor a line before one that it has returned.
func (r *Running) Await(pattern string) string {
	r.t.Helper()
	matching := regexp.MustCompile(pattern)
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		for r.seen < len(r.lines) {
			r.seen++
			if matching.MatchString(r.lines[r.seen-1]) {
				return r.lines[r.seen-1]
			}
		}
		if r.ended {
			require.FailNow(r.t, "it has ended", "without %q:\n%s", pattern, strings.Join(r.lines, "\n"))
		}
		r.changed.Wait()
	}
}

// AwaitPID waits for the next line that begins with a worker's pid and goes on with this
// pattern, and returns the pid.
func (r *Running) AwaitPID(pattern string) int {
	r.t.Helper()
	pid, err := strconv.Atoi(regexp.MustCompile(`\d+`).FindString(
		strings.SplitN(r.Await(`worker \d+ `+pattern), "worker", 2)[1]))
	require.NoError(r.t, err)
	return pid
}

// Output returns what was printed so far.
func (r *Running) Output() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.lines, "\n")
}

// End waits for the end of the server, and returns all that was printed.
func (r *Running) End() string {
	r.t.Helper()
	r.mu.Lock()
	for !r.ended {
		r.changed.Wait()
	}
	r.mu.Unlock()
	r.Wait()
	return strings.Join(r.lines, "\n")
}

// Stop sends SIGTERM, as Docker does, and requires exit code 0.
func (r *Running) Stop() string {
	r.t.Helper()
	require.NoError(r.t, r.Process.Signal(syscall.SIGTERM))
	return r.RequireSuccess()
}

// RequireSuccess waits for the end of the server, which must be exit code 0, and returns
// all that was printed.
func (r *Running) RequireSuccess() string {
	r.t.Helper()
	out := r.End()
	require.Zero(r.t, r.ProcessState.ExitCode(), "%v: %s", r.ProcessState, out)
	return out
}
