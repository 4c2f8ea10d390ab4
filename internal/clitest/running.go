package clitest

import (
	"bufio"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/demo"
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

// AwaitPID waits for the next line in which a worker's pid and then the pattern follow the
// word worker, and returns the pid.
func (r *Running) AwaitPID(pattern string) int {
	r.t.Helper()
	pattern = `worker (\d+) ` + pattern
	pid, err := strconv.Atoi(regexp.MustCompile(pattern).FindStringSubmatch(r.Await(pattern))[1])
	require.NoError(r.t, err)
	return pid
}

// Output returns what was printed so far.
func (r *Running) Output() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.lines, "\n")
}

// Ended reports whether the server and its workers have ended.
func (r *Running) Ended() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ended
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

// StopUnfinished is Stop for a server with workers that may not leave by themselves: then the
// exit code is 1.
func (r *Running) StopUnfinished() string {
	r.t.Helper()
	require.NoError(r.t, r.Process.Signal(syscall.SIGTERM))
	out := r.End()
	unfinished := strings.Contains(out, "did not finish in time")
	require.Equal(r.t, map[bool]int{false: 0, true: 1}[unfinished], r.ProcessState.ExitCode(), out)
	return out
}

// RequireSuccess waits for the end of the server, which must be exit code 0, and returns
// all that was printed.
func (r *Running) RequireSuccess() string {
	r.t.Helper()
	out := r.End()
	require.Zero(r.t, r.ProcessState.ExitCode(), "%v: %s", r.ProcessState, out)
	return out
}

// RequireEndWith waits for the end of the primary. It requires that its workers have ended
// soon, too, and that the port is free.
func (r *Running) RequireEndWith(workers []int) {
	r.t.Helper()
	r.Wait()
	for _, pid := range workers {
		Soon(r.t, func() bool {
			syscall.Wait4(pid, nil, syscall.WNOHANG, nil) // on Linux this process adopts them
			return syscall.Kill(pid, 0) == syscall.ESRCH
		}, "worker %d has outlived its primary", pid)
	}
	RequirePortFree(r.t, r.Address) // another test may have been given it for a moment
}

// Get makes a request, which must be answered.
func (r *Running) Get(path string) (answer string) {
	r.t.Helper()
	answer, err := demo.Get(r.t.Context(), r.Address, path)
	require.NoError(r.t, err)
	return answer
}

// Begin makes a request, and returns when its answer begins. The returned function waits
// for the rest, and returns the answer or the text of the error.
func (r *Running) Begin(path string) (finished func() (answer string)) {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.Address)
	require.NoError(r.t, err)
	r.t.Cleanup(func() { conn.Close() })
	response, err := demo.Request(conn, path)
	require.NoError(r.t, err)
	return func() string {
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return err.Error()
		}
		return strings.TrimSpace(string(body))
	}
}

// PIDIn returns the pid in an answer of package demo's server.
func PIDIn(t *testing.T, answer string) int {
	t.Helper()
	pid, err := strconv.Atoi(strings.TrimPrefix(answer, "worker "))
	require.NoError(t, err)
	return pid
}

// Script writes a shell script, which exists until the end of the test, and returns the
// command line that runs it as a worker.
func Script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "worker.sh")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return "sh " + path
}
