package cluster

import (
	"net"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
)

// suspend stops a worker: what it is given it does not accept.
func suspend(t *testing.T, w workerReport) {
	t.Helper()
	require.NoError(t, syscall.Kill(w.PID, syscall.SIGSTOP))
	clitest.RequireStopped(t, w.PID)
}

// What Node does not keep: a connection that it has given to a worker which dies before
// it says that it takes it. Its client waits until Node itself ends.
//
// No time shows that somebody waits for ever. But what Node does about the end of a
// worker it does by the time that it tells of it, and the answers to later requests
// went through the same loop, many turns of it after that. So the client is looked
// at then, without waiting. And in the end, that of Node, it turns out who had the connection.
func TestUnderNodeLost(t *testing.T) {
	t.Parallel()
	clitest.NeedNode(t)
	h := startNode(t, RoundRobin, "site", "tcp", "127.0.0.1:0")
	frozen, address := h.invite(1)
	suspend(t, frozen[0])
	others, _ := h.invite(1) // it is the frozen one's turn before
	client := dial(t, "tcp", address)
	require.NoError(t, askFor(client))
	h.told("given", frozen[0].ID)

	h.order("restart")
	h.order("kill %d SIGKILL", frozen[0].ID)
	h.told("exit", frozen[0].ID)
	others = append(others, h.told("fork", 0))
	h.told("listening", others[1].ID)
	answered := map[string]bool{}
	for range 20 {
		answered[get(t, "tcp", address)] = true
	}
	for _, name := range names(others...) {
		require.True(t, answered[name])
	}
	require.Equal(t, syscall.EAGAIN, glance(t, client))

	h.orders.Close()
	<-h.ended
	_, err := client.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET) // by an end that has not read the request
}

// glance is what a read gives that does not wait: EAGAIN is neither an answer nor an end.
func glance(t *testing.T, conn net.Conn) error {
	t.Helper()
	raw, err := conn.(syscall.Conn).SyscallConn()
	require.NoError(t, err)
	var n int
	require.NoError(t, raw.Read(func(fd uintptr) bool {
		n, err = syscall.Read(int(fd), make([]byte, 1))
		return true
	}))
	require.LessOrEqual(t, n, 0)
	return err
}

// A connection that cannot be accepted any more, since nobody is left to hear of it, is no
// failure of the worker.
func TestUnderNodePrimaryKilledMeanwhile(t *testing.T) {
	t.Parallel()
	clitest.NeedNode(t)
	h := startNode(t, RoundRobin, "site", "tcp", "127.0.0.1:0")
	workers, address := h.invite(4)
	for _, w := range workers {
		suspend(t, w)
	}
	for range workers {
		dial(t, "tcp", address)
		h.told("given", 0)
	}
	h.kill()
	for _, w := range workers {
		require.NoError(t, syscall.Kill(w.PID, syscall.SIGCONT))
		requireGone(t, w)
	}
}
