package cluster

import (
	"errors"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
)

// The rungs on which a worker has to be frozen, and Linux can tell that it is.

// freeze stops a worker in the middle of nothing, and connects until it has been given
// one of the connections. The others have been answered.
func freeze(t *testing.T, r *harness, w *Worker, address string) (given net.Conn) {
	t.Helper()
	w.Signal(syscall.SIGSTOP)
	clitest.RequireStopped(t, w.Pid())
	for {
		conn := dial(t, "tcp", address)
		require.NoError(t, askFor(conn))
		if r.waitsForAccept(w, conn) {
			return conn
		}
		require.NotEqual(t, name(w), body(t, conn))
	}
}

// waitsForAccept reports whether conn has been given to a worker, or else has been
// answered.
func (r *harness) waitsForAccept(w *Worker, conn net.Conn) (its bool) {
	require.Eventually(r.t, func() bool {
		r.Primary.mu.Lock()
		defer r.Primary.mu.Unlock()
		for _, f := range w.pending {
			its = its || peer(f.conn).String() == conn.LocalAddr().String()
		}
		return its || readable(conn)
	}, patience, time.Millisecond)
	return its
}

// L2: a connection that a worker was given and has not accepted is not lost with it.
// Under Node's primary its client waits for ever.
func TestRungHandedOver(t *testing.T) {
	each(t, func(t *testing.T, worker []string) {
		r := startPrimary(t, Settings{}, worker...)
		workers, address := r.fork(2)
		conn := freeze(t, r, workers[0], address)
		workers[0].Signal(syscall.SIGKILL)
		require.Equal(t, name(workers[1]), body(t, conn))
		require.Equal(t, 1, r.exitOf(workers[0]).Returned)
	})
}

// L2: also if there is nobody else at that moment.
func TestRungHandedOverToNobody(t *testing.T) {
	each(t, func(t *testing.T, worker []string) {
		r := startPrimary(t, Settings{}, worker...)
		workers, address := r.fork(1)
		conn := freeze(t, r, workers[0], address)
		workers[0].Signal(syscall.SIGKILL)
		r.exitOf(workers[0])
		replacement := await(r, func(Forked) bool { return true }).Worker
		if replacement == workers[0] {
			replacement = await(r, func(Forked) bool { return true }).Worker
		}
		require.Equal(t, name(replacement), body(t, conn))
	})
}

// L2: a worker that stays frozen is killed, and not passed over: it could wake up, and
// then two would answer.
func TestRungAcceptDeadline(t *testing.T) {
	each(t, func(t *testing.T, worker []string) {
		r := startPrimary(t, Settings{AcceptTimeout: 500 * time.Millisecond}, worker...)
		workers, address := r.fork(2)
		begun := time.Now()
		conn := freeze(t, r, workers[0], address)
		require.Equal(t, name(workers[1]), body(t, conn))
		require.GreaterOrEqual(t, time.Since(begun), 500*time.Millisecond)
		exit := r.exitOf(workers[0])
		require.Equal(t, syscall.SIGKILL, exit.Exit.Signal)
		require.Equal(t, "it has not accepted a connection for 500ms", exit.Why)
		require.Equal(t, 1, exit.Returned)
	})
}

// L2: one that wakes up before that answers, and it alone.
func TestRungWokenUp(t *testing.T) {
	each(t, func(t *testing.T, worker []string) {
		r := startPrimary(t, Settings{AcceptTimeout: patience}, worker...)
		workers, address := r.fork(2)
		conn := freeze(t, r, workers[0], address)
		workers[0].Signal(syscall.SIGCONT)
		require.Equal(t, name(workers[0]), body(t, conn))
	})
}

// The end of the cluster is not that of who had come before: also those in the queue are
// answered.
func TestRungShutdown(t *testing.T) {
	each(t, func(t *testing.T, worker []string) {
		r := startPrimary(t, Settings{}, worker...)
		workers, address := r.fork(1)
		waiting := []net.Conn{freeze(t, r, workers[0], address)}
		for range 10 {
			conn := dial(t, "tcp", address)
			require.NoError(t, askFor(conn))
			waiting = append(waiting, conn)
		}
		ended := make(chan error, 1)
		go func() { ended <- r.Shutdown(t.Context()) }()
		require.Eventually(t, func() bool {
			conn, err := net.Dial("tcp", address)
			if err == nil {
				conn.Close()
			}
			return errors.Is(err, syscall.ECONNREFUSED)
		}, patience, time.Millisecond)
		workers[0].Signal(syscall.SIGCONT)
		for _, conn := range waiting {
			require.Equal(t, name(workers[0]), body(t, conn))
		}
		require.NoError(t, <-ended)
		require.Zero(t, r.exitOf(workers[0]).Exit)
	})
}
