package cluster

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
)

// nodePrimary is Node's primary with Go workers.
type nodePrimary struct {
	*harness
	cmd      *exec.Cmd
	commands io.WriteCloser
	reading  sync.WaitGroup // of its output
	stderr   strings.Builder
	ended    chan struct{}
	killed   bool
}

// workerReport is what Node's primary reports of a worker.
type workerReport struct {
	ID, PID     int
	Address     string // of listening
	Port        int
	AddressType any
	Code        *int // of exit
	Signal      string
	Left        bool // exitedAfterDisconnect
}

// startNode starts Node's primary for workers of this role. At the end of the test, the
// cluster must end without an error message.
func startNode(t *testing.T, policy Policy, role ...string) *nodePrimary {
	t.Helper()
	self := clitest.Command(t, clitest.Self(t)) // its clean-up comes last
	words := append([]string{"testdata/primary_of_go.js", self.Path}, role...)
	h := &nodePrimary{harness: &harness{t: t}, cmd: exec.Command("node", words...), ended: make(chan struct{})}
	h.changed.L = &h.mu
	h.cmd.Env = append(self.Env, "NODE_CLUSTER_SCHED_POLICY="+string(policy))
	out, stdout, err := os.Pipe() // with files, Wait waits for Node alone
	require.NoError(t, err)
	errs, stderr, err := os.Pipe()
	require.NoError(t, err)
	h.cmd.Stdout, h.cmd.Stderr = stdout, stderr
	h.commands, err = h.cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, h.cmd.Start())
	stdout.Close()
	stderr.Close()
	h.reading.Go(func() {
		io.Copy(h, out)
		h.close()
	})
	h.reading.Go(func() { io.Copy(&h.stderr, errs) })
	go func() {
		h.cmd.Wait()
		close(h.ended)
	}()
	t.Cleanup(func() { h.end(out, errs) })
	return h
}

// end ends the cluster, and reads its outputs to the end.
func (h *nodePrimary) end(outputs ...*os.File) {
	h.commands.Close()
	defer clitest.AtDeadline(h.t, func() { h.cmd.Process.Kill() }).Stop()
	<-h.ended
	for _, output := range outputs { // the workers have them, too
		output.SetReadDeadline(clitest.Deadline(h.t))
		defer output.Close()
	}
	h.reading.Wait()
	require.Empty(h.t, h.stderr.String())
	require.True(h.t, h.killed || h.cmd.ProcessState.Success(), "%v", h.cmd.ProcessState)
}

// kill kills Node, and only Node.
func (h *nodePrimary) kill() {
	h.t.Helper()
	h.killed = true
	require.NoError(h.t, h.cmd.Process.Kill())
	<-h.ended
}

// requireGone requires that a worker exits with code 0 soon after its primary's end.
func requireGone(t *testing.T, w workerReport) {
	t.Helper()
	var exit, status syscall.WaitStatus
	clitest.Soon(t, func() bool {
		pid, _ := syscall.Wait4(w.PID, &status, syscall.WNOHANG, nil) // on Linux this process inherits it
		if pid == w.PID {
			exit = status
		}
		return syscall.Kill(w.PID, 0) == syscall.ESRCH
	}, "it has outlived its primary")
	require.Zero(t, exit)
}

// requireLeft requires that a worker exits with code 0, after it has announced that.
func (h *nodePrimary) requireLeft(w workerReport) {
	h.t.Helper()
	exit := h.awaitReport("exit", w.ID)
	require.Zero(h.t, *exit.Code)
	require.True(h.t, exit.Left)
}

// command sends a command to Node.
func (h *nodePrimary) command(format string, args ...any) {
	h.t.Helper()
	_, err := fmt.Fprintf(h.commands, format+"\n", args...)
	require.NoError(h.t, err)
}

// awaitReport waits for an event of the worker with this ID, or of any worker if it is 0.
func (h *nodePrimary) awaitReport(event string, id int) (w workerReport) {
	h.t.Helper()
	number := `\d+`
	if id > 0 {
		number = fmt.Sprint(id)
	}
	line := h.awaitLine(fmt.Sprintf(`(\{"event":"%s","id":%s,.*\})`, event, number))
	require.NoError(h.t, json.Unmarshal([]byte(line), &w))
	return w
}

// startWorkers forks n workers, waits until they listen, and returns the last worker's
// address.
func (h *nodePrimary) startWorkers(n int) (workers []workerReport, address string) {
	h.t.Helper()
	for range n {
		h.command("fork")
		workers = append(workers, h.awaitReport("fork", 0))
	}
	for i, w := range workers {
		workers[i] = h.awaitReport("listening", w.ID)
		workers[i].PID = w.PID
		address = h.addressOf(w)
	}
	return workers, address
}

// addressOf waits for the next address that a worker prints.
func (h *nodePrimary) addressOf(w workerReport) string {
	h.t.Helper()
	return h.awaitLine(fmt.Sprintf(`worker %d: (\S*[:/]\S*)`, w.PID))
}

// openRequest is a request that a worker serves until finish.
type openRequest struct {
	net.Conn
	t *testing.T
}

// open begins a request, and returns once a worker serves it.
func (h *nodePrimary) open(address string) openRequest {
	h.t.Helper()
	r := openRequest{dial(h.t, "tcp", address), h.t}
	_, err := io.WriteString(r, "POST /open HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n")
	require.NoError(h.t, err)
	h.awaitLine(`worker \d+: open`)
	return r
}

// finish finishes the request, and returns the answer.
func (r openRequest) finish() *http.Response {
	r.t.Helper()
	_, err := io.WriteString(r, "x")
	require.NoError(r.t, err)
	response, err := http.ReadResponse(bufio.NewReader(r), nil)
	require.NoError(r.t, err)
	_, err = io.ReadAll(response.Body)
	require.NoError(r.t, err)
	return response
}

// answersOf returns what workers answer.
func answersOf(workers ...workerReport) (all []string) {
	for _, w := range workers {
		all = append(all, fmt.Sprintf("worker %d", w.PID))
	}
	return all
}
