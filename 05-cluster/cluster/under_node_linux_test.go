package cluster

import (
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
)

// freezeWorker stops a worker, which accepts no connection then.
func freezeWorker(t *testing.T, w workerReport) {
	t.Helper()
	require.NoError(t, syscall.Kill(w.PID, syscall.SIGSTOP))
	clitest.RequireStopped(t, w.PID)
}

// Node loses a connection that it has given to a worker which dies before it accepts it:
// the client hangs until Node itself ends.
//
// Waiting cannot prove that. But Node handles the end of a worker before it reports it,
// and it has given out many later connections since. So the client looks at the
// connection then, and does not wait. In the end, it is Node's end that closes the
// connection.
func TestUnderNodeLost(t *testing.T) {
	t.Parallel()
	clitest.NeedNode(t)
	h := startNode(t, RoundRobin, "server", "tcp", "127.0.0.1:0")
	frozen, address := h.startWorkers(1)
	freezeWorker(t, frozen[0])
	others, _ := h.startWorkers(1) // the frozen worker's turn comes first
	client := dial(t, "tcp", address)
	require.NoError(t, sendRequest(client))
	h.awaitReport("given", frozen[0].ID)

	h.command("restart")
	h.command("kill %d SIGKILL", frozen[0].ID)
	h.awaitReport("exit", frozen[0].ID)
	others = append(others, h.awaitReport("fork", 0))
	h.awaitReport("listening", others[1].ID)
	answered := map[string]bool{}
	for range 20 {
		answered[get(t, "tcp", address)] = true
	}
	for _, name := range answersOf(others...) {
		require.True(t, answered[name])
	}
	require.Equal(t, syscall.EAGAIN, readNow(t, client))

	h.commands.Close()
	<-h.ended
	_, err := client.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET) // because the request was never read
}

// readNow returns the error of a read that does not wait. EAGAIN is neither an answer nor
// an end.
func readNow(t *testing.T, conn net.Conn) error {
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

// A worker must not fail because of a connection that it cannot accept any more, since
// the primary is gone.
func TestUnderNodePrimaryKilledMeanwhile(t *testing.T) {
	t.Parallel()
	clitest.NeedNode(t)
	h := startNode(t, RoundRobin, "server", "tcp", "127.0.0.1:0")
	workers, address := h.startWorkers(4)
	for _, w := range workers {
		freezeWorker(t, w)
	}
	for range workers {
		dial(t, "tcp", address)
		h.awaitReport("given", 0)
	}
	h.kill()
	for _, w := range workers {
		require.NoError(t, syscall.Kill(w.PID, syscall.SIGCONT))
		requireGone(t, w)
	}
}

// A worker without room for another connection must refuse it under Node's primary as well.
func TestUnderNodeShortOfDescriptors(t *testing.T) {
	t.Parallel()
	clitest.NeedNode(t)
	h := startNode(t, RoundRobin, "few descriptors", "tcp", "127.0.0.1:0")
	workers, address := h.startWorkers(1)
	serve := openMany(t, address)
	clitest.Eventually(t, func() bool {
		open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", workers[0].PID))
		require.NoError(t, err)
		return len(open) >= fewDescriptors-1 // the next one comes, and goes again
	})
	serve(answersOf(workers[0])[0])
}
