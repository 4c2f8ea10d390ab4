package main

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

	"playing-with-processes/internal/programtest"
)

// running is a primary that runs.
type running struct {
	*exec.Cmd
	t       *testing.T
	address string

	mu    sync.Mutex
	more  *sync.Cond
	lines []string
	ended bool
	seen  int // lines that await has passed
}

// launch starts a command line that prints what a primary prints.
func launch(t *testing.T, words ...string) *running {
	t.Helper()
	return launched(t, programtest.Command(t, words...))
}

func launched(t *testing.T, cmd *exec.Cmd) *running {
	t.Helper()
	r := &running{Cmd: cmd, t: t}
	r.more = sync.NewCond(&r.mu)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = cmd.Stdout
	require.NoError(t, cmd.Start())
	go r.read(bufio.NewScanner(out))
	_, address, _ := strings.Cut(r.await(`http://`), "http://")
	r.address = strings.TrimSuffix(strings.Fields(address)[0], ";")
	return r
}

func (r *running) read(out *bufio.Scanner) {
	for out.Scan() {
		r.mu.Lock()
		r.lines = append(r.lines, out.Text())
		r.mu.Unlock()
		r.more.Broadcast()
	}
	r.mu.Lock()
	r.ended = true
	r.mu.Unlock()
	r.more.Broadcast()
}

// await waits for the next line that matches, and returns it. Those that were
// awaited before, or came before them, do not count.
func (r *running) await(pattern string) string {
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
		r.more.Wait()
	}
}

// awaitPID waits for the next worker of which this is said, and returns its pid.
func (r *running) awaitPID(said string) int {
	r.t.Helper()
	pid, err := strconv.Atoi(regexp.MustCompile(`\d+`).FindString(
		strings.SplitN(r.await(`worker \d+ `+said), "worker", 2)[1]))
	require.NoError(r.t, err)
	return pid
}

// pidIn is the pid of who gave this answer.
func pidIn(t *testing.T, answer string) int {
	t.Helper()
	pid, err := strconv.Atoi(strings.TrimPrefix(answer, "worker "))
	require.NoError(t, err)
	return pid
}

// end waits for its end, and returns all that was printed.
func (r *running) end() string {
	r.t.Helper()
	r.mu.Lock()
	for !r.ended {
		r.more.Wait()
	}
	r.mu.Unlock()
	r.Wait()
	return strings.Join(r.lines, "\n")
}

// stop ends it as Docker does, and requires that this is a good end.
func (r *running) stop() string {
	r.t.Helper()
	require.NoError(r.t, r.Process.Signal(syscall.SIGTERM))
	return r.requireGoodEnd()
}

func (r *running) requireGoodEnd() string {
	r.t.Helper()
	out := r.end()
	require.Zero(r.t, r.ProcessState.ExitCode(), "%v: %s", r.ProcessState, out)
	return out
}

// visit must be answered.
func (r *running) visit(path string) string {
	r.t.Helper()
	answer, err := visit(r.t.Context(), r.address, path)
	require.NoError(r.t, err)
	return answer
}

// begin makes a request, and returns once it is being served.
func (r *running) begin(path string) (finished func() (answer string)) {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.address)
	require.NoError(r.t, err)
	r.t.Cleanup(func() { conn.Close() })
	response, err := request(conn, path)
	require.NoError(r.t, err)
	return func() string {
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return err.Error()
		}
		return strings.TrimSpace(string(body))
	}
}

// script is a shell script that exists.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "worker.sh")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return "sh " + path
}

// each runs a test with Go workers and with Node workers.
func each(t *testing.T, test func(t *testing.T, worker string)) {
	t.Parallel()
	t.Run("Go", func(t *testing.T) {
		t.Parallel()
		test(t, "")
	})
	t.Run("Node", func(t *testing.T) {
		programtest.NeedNode(t)
		t.Parallel()
		test(t, nodeWorker)
	})
}
