package cluster

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"playing-with-processes/internal/clitest"

	"github.com/stretchr/testify/require"
)

// A port without workers must reset and report its connections after a number of ticks,
// count anew then, and stay for the next worker that asks for it.
func TestPortWithoutWorkers(t *testing.T) {
	p := fakePrimary(t)
	w, d := p.addWorker(t)
	pt := d.port
	age := func(ticks int) (events int) {
		for range ticks {
			pt.tick(3)
		}
		return len(p.Events())
	}
	require.Zero(t, age(10), "it has a worker")
	pt.removeWorker(w)
	delete(w.ports, pt.key)
	pushConn(t, d)
	require.Zero(t, age(2))
	pt.addWorker(w, message{})
	takeUnsent(w)
	require.GreaterOrEqual(t, givenSeq(w), int64(0))
	require.Zero(t, age(1))
	pt.removeWorker(w)
	pushConn(t, d)
	require.Zero(t, age(2), "it counts anew")
	require.Equal(t, 1, age(1))
	require.Equal(t, Rejected{pt.address, 1}, <-p.Events())
	pushConn(t, d)
	require.Zero(t, age(2))
	require.Contains(t, p.ports, pt.key)
	p.addWorker(t)
	require.Same(t, pt, p.ports[pt.key], "the same port is asked for again")
}

// All servers of a port must share what the first of them has sent, within a bound, and a
// worker must have a bounded number of ports.
func TestPortData(t *testing.T) {
	p := fakePrimary(t)
	_, d := p.addWorker(t)
	ask := func(w *Worker, index int, data string) message {
		q := query{Index: index, Address: new(string), Port: new(int), AddressType: []byte("4")}
		*q.Address = "127.0.0.1"
		w.answerQuery(message{Where: &q, Data: []byte(data)})
		reply, _ := takeUnsent(w)
		return reply.message
	}
	fork := func() *Worker {
		w, err := p.Fork()
		require.NoError(t, err)
		return w
	}
	require.Nil(t, d.port.data)
	require.Equal(t, `"keys"`, string(ask(fork(), 0, `"keys"`).Data))
	require.Equal(t, `"keys"`, string(ask(fork(), 0, `"others"`).Data))
	w := fork()
	require.Equal(t, -7, ask(w, 0, `"`+string(make([]byte, maxData))+`"`).errno())
	for i := range maxPorts {
		require.Zero(t, ask(w, i, "null").errno())
	}
	require.Equal(t, -24, ask(w, maxPorts, "null").errno())
}

// Workers that ask for the same port must share it, however they have counted: one of them may
// have failed to listen before. A second server of one worker must not get the first one's port.
func TestPortWithAnyIndex(t *testing.T) {
	p := fakePrimary(t)
	ask := func(w *Worker, index, port int, kind string, flags int) message {
		q := query{Index: index, Address: new(string), Port: &port, AddressType: []byte(kind), Flags: flags}
		*q.Address = "127.0.0.1"
		w.answerQuery(message{Where: &q, Data: null})
		reply, _ := takeUnsent(w)
		return reply.message
	}
	fork := func() *Worker {
		w, err := p.Fork()
		require.NoError(t, err)
		return w
	}
	first, second := fork(), fork()
	port := freePort(t)
	reply := ask(first, 2, port, "4", 0)
	require.Zero(t, reply.errno())
	require.Equal(t, reply.Key, ask(second, 0, port, "4", 0).Key)
	require.Equal(t, -int(syscall.EADDRINUSE), ask(second, 1, port, "4", 0).errno())
	require.Len(t, p.ports, 1)
	require.NotEqual(t, ask(first, 0, 0, "4", 0).Key, ask(second, 1, 0, "4", 0).Key, "any free port")

	a, b := ask(first, 0, port, `"udp4"`, flagReuseAddr), ask(first, 1, port, `"udp4"`, flagReuseAddr)
	require.NotEqual(t, a.Key, b.Key)
	shared := []string{ask(second, 1, port, `"udp4"`, flagReuseAddr).Key, ask(second, 2, port, `"udp4"`, flagReuseAddr).Key}
	require.ElementsMatch(t, []string{a.Key, b.Key}, shared)
}

// A connection that is refused after the port was released must be reset.
func TestRefusedAfterRelease(t *testing.T) {
	t.Parallel()
	h := startPrimary(t, Settings{}, "go", "closes and refuses")
	_, address := h.fork(1)
	requireReset(t, address)
	_, err := net.Dial("tcp", address)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
}

func init() {
	roles["closes and refuses"] = func(...string) error {
		w, key, err := joinAndListen()
		if err != nil {
			return err
		}
		given := w.awaitConn()
		w.send(message{Cmd: command, Act: actClose, Key: key})
		w.answerConn(given, false)
		return hang()
	}
}

// A port that no worker asks for again must be released, as when each worker has a port
// of its own.
func TestUnusedPortReleased(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var h *harness
	h = startPrimary(t, Settings{
		Restart:      restartAtOnce(),
		QueueTimeout: 200 * time.Millisecond,
		Command:      func(_, _ int) *exec.Cmd { return h.workerCommand("go", "own port", dir) },
	})
	workers, path := h.fork(1)
	require.Equal(t, workers[0].String(), get(t, "unix", path))
	workers[0].Signal(syscall.SIGKILL)
	next := await(h, func(e Listening) bool { return e.Worker != workers[0] })
	clitest.Eventually(t, func() bool {
		_, err := os.Lstat(path)
		return os.IsNotExist(err)
	})
	require.Equal(t, next.Worker.String(), get(t, "unix", next.Address))
	h.Primary.mu.Lock()
	defer h.Primary.mu.Unlock()
	require.Len(t, h.ports, 1)
}

func init() {
	roles["own port"] = func(args ...string) error {
		return roles["http"]("unix", filepath.Join(args[0], fmt.Sprint(os.Getpid())))
	}
}

// A file that has taken the place of a Unix socket must stay.
func TestReplacedSocketFileStays(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "socket")
	h := startPrimary(t, Settings{}, "go", "http", "unix", path)
	h.fork(1)
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	require.NoError(t, h.Shutdown(t.Context()))
	require.FileExists(t, path)
}

// A relative path must be relative to the worker's working directory.
func TestRelativeSocketPath(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var h *harness
	h = startPrimary(t, Settings{Command: func(_, _ int) *exec.Cmd {
		cmd := h.workerCommand("go", "http", "unix", "socket")
		cmd.Dir = dir
		return cmd
	}})
	workers, _ := h.fork(1)
	require.Equal(t, workers[0].String(), get(t, "unix", filepath.Join(dir, "socket")))
}
