package cluster

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
)

// What is promised to a connection depends on where it is. L0: no worker is idle. L1: it
// is in the kernel's queue. L2: a worker was given it, and has not accepted it. L3: a
// worker has accepted it. L4: it is half answered.

// L0, L1: without workers, connections must wait in the kernel, and the next worker
// answers all of them. The port stays open.
func TestQueueWithoutWorkers(t *testing.T) {
	eachWorker(t, func(t *testing.T, worker []string) {
		h := startPrimary(t, Settings{}, worker...)
		workers, address := h.fork(1)
		workers[0].Leave()
		h.exitOf(workers[0])
		var waiting []net.Conn
		for range 20 {
			conn := dial(t, "tcp", address)
			require.NoError(t, sendRequest(conn))
			waiting = append(waiting, conn)
		}
		d := h.dispatcher()
		h.Primary.mu.Lock()
		taken := d.picker.len()
		h.Primary.mu.Unlock()
		require.Zero(t, taken, "connections wait in the kernel")
		workers, _ = h.fork(1)
		for _, conn := range waiting {
			require.Equal(t, workers[0].String(), body(t, conn))
		}
	})
}

// dispatcher returns the dispatcher of the only port.
func (h *harness) dispatcher() *dispatcher {
	h.Primary.mu.Lock()
	defer h.Primary.mu.Unlock()
	for _, pt := range h.ports {
		return pt.scheduler.(*dispatcher)
	}
	return nil
}

// L0: after QueueTimeout, the connections must be reset and reported.
func TestQueueTimeout(t *testing.T) {
	t.Parallel()
	h := startPrimary(t, Settings{QueueTimeout: 200 * time.Millisecond}, goHTTP...)
	workers, address := h.fork(1)
	workers[0].Leave()
	h.exitOf(workers[0])
	waiting := []net.Conn{dial(t, "tcp", address), dial(t, "tcp", address), dial(t, "tcp", address)}
	for _, conn := range waiting {
		_, err := conn.Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNRESET)
	}
	reset := 0
	for reset < len(waiting) { // they may have arrived before and after a deadline
		reset += await(h, func(Rejected) bool { return true }).Connections
	}
	require.Equal(t, len(waiting), reset)
	workers, _ = h.fork(1)
	require.Equal(t, workers[0].String(), get(t, "tcp", address))
}

// A connection must not expire while the primary is suspended.
func TestAcceptTimeoutCountsTicks(t *testing.T) {
	t.Parallel()
	w := &Worker{pending: map[int64]*pendingConn{1: {}}, primary: &Primary{}}
	require.NotPanics(t, func() {
		for range 10 {
			w.tick(10)
		}
	})
	require.Panics(t, func() { w.tick(10) }, "there is no process to kill")
}

// First condition of L2: a worker must have answered that it accepts a connection before
// it can read a byte, when Accept returns.
func TestAcceptedBeforeReading(t *testing.T) {
	t.Parallel()
	h := startPrimary(t, Settings{Restart: restartAtOnce()}, "go", "dies after accept")
	workers, address := h.fork(1)
	w := workers[0]
	for range clitest.Times(20, 200) {
		conn := dial(t, "tcp", address)
		_, err := conn.Read(make([]byte, 1))
		require.Error(t, err)
		conn.Close()
		require.Zero(t, h.exitOf(w).Returned, "it has accepted the connection")
		w = await(h, func(e Listening) bool { return e.Worker != w }).Worker
	}
}

func init() {
	roles["dies after accept"] = func(...string) error {
		l, err := Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		l.Accept()
		return syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
}

// Second condition of L2: the channel of a dead worker must be read to the end first.
// This worker has accepted the connection.
func TestChannelOfDeadWorkerReadFirst(t *testing.T) {
	t.Parallel()
	h := startPrimary(t, Settings{}, "go", "accepts and dies")
	workers, address := h.fork(1)
	conn := dial(t, "tcp", address)
	h.awaitLine("given")
	h.Primary.mu.Lock() // so no message is handled until the process has ended
	require.NoError(t, workers[0].process.Process.Kill(syscall.SIGUSR1))
	<-workers[0].process.Done()
	h.Primary.mu.Unlock()
	require.Zero(t, h.exitOf(workers[0]).Returned)
	_, err := conn.Read(make([]byte, 1))
	require.Error(t, err)
}

func init() {
	roles["accepts and dies"] = func(...string) error {
		accept := make(chan os.Signal, 1)
		signal.Notify(accept, syscall.SIGUSR1)
		w, _, err := joinAndListen()
		if err != nil {
			return err
		}
		seq := w.awaitConn()
		fmt.Println("given")
		<-accept
		w.send(message{Cmd: command, Act: actOnline}) // is handled before, and changes nothing
		w.answerConn(seq, true)
		return syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
}

// Third condition of L2: a worker without a channel may still read, so its connection
// must go to another worker only after the end of its process.
func TestRequeueAfterExit(t *testing.T) {
	t.Parallel()
	h, setCommand := startChanging(t, Settings{DrainTimeout: clitest.Never}, "go", "takes and disconnects")
	workers, address := h.fork(1)
	conn := dial(t, "tcp", address)
	require.NoError(t, sendRequest(conn))
	await(h, func(e Disconnect) bool { return e.Worker == workers[0] })
	setCommand(goHTTP...)
	next, err := h.Fork()
	require.NoError(t, err)
	h.listeningOf(next)
	for range 10 {
		require.Equal(t, next.String(), get(t, "tcp", address))
	}
	require.Contains(t, h.ids(), workers[0].ID(), "its exit is not reported yet")
	require.False(t, readable(conn), "no other worker has the connection")
	workers[0].Signal(syscall.SIGKILL)
	exit := h.exitOf(workers[0])
	require.Equal(t, 1, exit.Returned)
	require.Equal(t, syscall.SIGKILL, exit.Exit.Signal)
	require.NotContains(t, h.ids(), workers[0].ID())
	require.Contains(t, body(t, conn), "worker")
}

func init() {
	roles["takes and disconnects"] = func(...string) error {
		w, _, err := joinAndListen()
		if err != nil {
			return err
		}
		w.awaitConn()
		w.Disconnect()
		return hang()
	}
}

// L3, L4: a connection that a worker has accepted must end with the worker, at once.
func TestAcceptedConnectionEndsWithWorker(t *testing.T) {
	clitest.Each(t, "node", func(t *testing.T, worker string) {
		words := []string{"node", "testdata/hold.js", "127.0.0.1:0"}
		if worker == "" {
			words = []string{"go", "hold"}
		}
		h := startPrimary(t, Settings{Restart: restartAtOnce(), AcceptTimeout: clitest.Never}, words...)
		workers, address := h.fork(1)
		for _, path := range []string{"/", "/half"} {
			conn := dial(t, "tcp", address)
			fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
			h.awaitLine("serving " + path)
			workers[0].Signal(syscall.SIGKILL)
			require.Zero(t, h.exitOf(workers[0]).Returned)
			requireCutOff(t, conn, path == "/half")
			workers[0] = await(h, func(e Listening) bool { return e.Worker != workers[0] }).Worker
		}
	})
}

// requireCutOff requires that a connection ends: without an answer, or halfway through
// it.
func requireCutOff(t *testing.T, conn net.Conn, half bool) {
	t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if !half {
		require.Error(t, err)
		require.False(t, errors.Is(err, os.ErrDeadlineExceeded))
		return
	}
	require.NoError(t, err)
	text, err := io.ReadAll(response.Body)
	require.Equal(t, "half", string(text))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

func init() {
	roles["hold"] = func(...string) error {
		l, err := Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		return Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/half" {
				w.Header().Set("Content-Length", "8")
				io.WriteString(w, "half")
				http.NewResponseController(w).Flush()
			}
			fmt.Println("serving", r.URL.Path)
			hang()
		}))
	}
}
