package cluster

import (
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
)

// The promises for which a worker has to be frozen, as only Linux reports it.

// freeze stops a worker, and connects until it was given one of the connections. The
// others were answered.
func freeze(t *testing.T, h *harness, w *Worker, address string) (given net.Conn) {
	t.Helper()
	w.Signal(syscall.SIGSTOP)
	clitest.RequireStopped(t, w.Pid())
	for {
		conn := dial(t, "tcp", address)
		require.NoError(t, sendRequest(conn))
		if h.waitsForAccept(w, conn) {
			return conn
		}
		require.NotEqual(t, w.String(), body(t, conn))
	}
}

// waitsForAccept reports whether a worker was given conn. Otherwise conn was answered.
func (h *harness) waitsForAccept(w *Worker, conn net.Conn) (waits bool) {
	clitest.Eventually(h.t, func() bool {
		h.Primary.mu.Lock()
		defer h.Primary.mu.Unlock()
		for _, c := range w.pending {
			waits = waits || c.conn.peer().String() == conn.LocalAddr().String()
		}
		return waits || readable(conn)
	})
	return waits
}

// L2: a connection that a worker was given and has not accepted must not be lost with it.
// Under Node's primary its client hangs.
func TestPendingConnectionRequeued(t *testing.T) {
	eachWorker(t, func(t *testing.T, worker []string) {
		h := startPrimary(t, Settings{}, worker...)
		workers, address := h.fork(2)
		conn := freeze(t, h, workers[0], address)
		workers[0].Signal(syscall.SIGKILL)
		require.Equal(t, workers[1].String(), body(t, conn))
		require.Equal(t, 1, h.exitOf(workers[0]).Returned)
	})
}

// L2: of several connections that a worker was given and has not accepted, none must be lost with
// it, and none be answered twice.
func TestManyPendingConnectionsRequeued(t *testing.T) {
	eachWorker(t, func(t *testing.T, worker []string) {
		h := startPrimary(t, Settings{MaxPending: maxPending}, worker...)
		workers, address := h.fork(2)
		workers[0].Signal(syscall.SIGSTOP)
		clitest.RequireStopped(t, workers[0].Pid())
		waiting := h.giveMany(workers[0], address)
		workers[0].Signal(syscall.SIGKILL)
		for _, conn := range waiting {
			require.Equal(t, workers[1].String(), body(t, conn))
		}
		require.Equal(t, maxPending, h.exitOf(workers[0]).Returned)
		clitest.Eventually(t, func() bool { // the client may have the answer first
			h.Primary.mu.Lock()
			defer h.Primary.mu.Unlock()
			return workers[1].accepted >= len(waiting)
		})
		require.Equal(t, len(waiting), workers[1].accepted)
	})
}

// giveMany connects, and gives a worker as many of the connections as it may have.
func (h *harness) giveMany(w *Worker, address string) (conns []net.Conn) {
	d := h.dispatcher()
	h.Primary.mu.Lock()
	defer h.Primary.mu.Unlock()
	for len(w.pending) < maxPending {
		conn := dial(h.t, "tcp", address)
		require.NoError(h.t, sendRequest(conn))
		conns = append(conns, conn)
		if given := d.socket.accept(); given != noConn { // else the wait goroutine has it
			d.assign(given, w)
		}
	}
	return conns
}

// L2: if there is no other worker, the connection must wait for the next worker.
func TestPendingConnectionWaitsForReplacement(t *testing.T) {
	eachWorker(t, func(t *testing.T, worker []string) {
		h := startPrimary(t, Settings{}, worker...)
		workers, address := h.fork(1)
		conn := freeze(t, h, workers[0], address)
		workers[0].Signal(syscall.SIGKILL)
		h.exitOf(workers[0])
		replacement := await(h, func(Forked) bool { return true }).Worker
		if replacement == workers[0] {
			replacement = await(h, func(Forked) bool { return true }).Worker
		}
		require.Equal(t, replacement.String(), body(t, conn))
	})
}

// L2: a worker that stays frozen must be killed. If it were only skipped, it could wake
// up, and two workers would answer.
func TestAcceptTimeout(t *testing.T) {
	eachWorker(t, func(t *testing.T, worker []string) {
		timeout := enoughToAccept(t)
		h := startPrimary(t, Settings{AcceptTimeout: timeout}, worker...)
		workers, address := h.fork(2)
		begun := time.Now()
		conn := freeze(t, h, workers[0], address)
		require.Equal(t, workers[1].String(), body(t, conn))
		require.GreaterOrEqual(t, time.Since(begun), timeout)
		exit := h.exitOf(workers[0])
		require.Equal(t, syscall.SIGKILL, exit.Exit.Signal)
		require.Equal(t, fmt.Sprintf("it has not accepted a connection for %v", timeout), exit.Why)
		require.Equal(t, 1, exit.Returned)
	})
}

// L2: if the worker wakes up before AcceptTimeout, it must answer, and no other worker.
func TestWorkerWakesUp(t *testing.T) {
	eachWorker(t, func(t *testing.T, worker []string) {
		h := startPrimary(t, Settings{AcceptTimeout: clitest.Never}, worker...)
		workers, address := h.fork(2)
		conn := freeze(t, h, workers[0], address)
		workers[0].Signal(syscall.SIGCONT)
		require.Equal(t, workers[0].String(), body(t, conn))
	})
}

// At a shutdown, connections that are queued already must be served first.
func TestShutdownServesQueue(t *testing.T) {
	eachWorker(t, func(t *testing.T, worker []string) {
		h := startPrimary(t, Settings{DrainTimeout: clitest.Never}, worker...)
		workers, address := h.fork(1)
		waiting := []net.Conn{freeze(t, h, workers[0], address)}
		for range 10 {
			conn := dial(t, "tcp", address)
			require.NoError(t, sendRequest(conn))
			waiting = append(waiting, conn)
		}
		ended := make(chan error, 1)
		go func() { ended <- h.Shutdown(t.Context()) }()
		clitest.RequireRefused(t, address)
		workers[0].Signal(syscall.SIGCONT)
		for _, conn := range waiting {
			require.Equal(t, workers[0].String(), body(t, conn))
		}
		require.NoError(t, <-ended)
		require.Zero(t, h.exitOf(workers[0]).Exit)
	})
}

// A worker that has failed to listen more often than another must get the port that the other
// has, once the stranger that held it is gone.
func TestNodeRetryAmongOthers(t *testing.T) {
	eachNodePolicy(t, func(t *testing.T, policy Policy) {
		h, failing, busy := startRetrying(t, policy)
		for range 3 {
			h.awaitLine("error EADDRINUSE")
		}
		failing.Signal(syscall.SIGSTOP)
		clitest.RequireStopped(t, failing.Pid())
		require.NoError(t, busy.Close())
		other, err := h.Fork()
		require.NoError(t, err)
		h.listeningOf(other)
		failing.Signal(syscall.SIGCONT)
		h.listeningOf(failing)
	})
}
