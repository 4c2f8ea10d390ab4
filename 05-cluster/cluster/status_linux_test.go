package cluster

import (
	"syscall"
	"testing"

	"playing-with-processes/internal/clitest"

	"github.com/stretchr/testify/require"
)

// What only Linux reports, or lets a test do.

// A frozen worker must have one pending connection, and the other worker gets all others.
func TestStatusFrozen(t *testing.T) {
	eachWorker(t, func(t *testing.T, worker []string) {
		h := startPrimary(t, Settings{AcceptTimeout: clitest.Never}, worker...)
		workers, address := h.fork(2)
		conn := freeze(t, h, workers[0], address)
		require.Equal(t, workers[1].String(), get(t, "tcp", address))
		clitest.Eventually(t, func() bool { // the client may have the answer first
			status := h.Status().Workers
			return *status[0].Pending == 1 && *status[1].Pending == 0
		})
		h.requireStatus(2, nil, allListening(2)...)
		workers[0].Signal(syscall.SIGCONT)
		require.Equal(t, workers[0].String(), body(t, conn))
		clitest.Eventually(t, func() bool { return *h.Status().Workers[0].Pending == 0 })
	})
}

// Connections that wait in the kernel must be counted.
func TestStatusWaiting(t *testing.T) {
	t.Parallel()
	for _, policy := range nodePolicies {
		h := startPrimary(t, Settings{Policy: policy}, goHTTP...)
		_, address := h.fork(1)
		require.NoError(t, h.Scale(0))
		h.requireStatus(0, nil)
		for range 3 {
			require.NoError(t, sendRequest(dial(t, "tcp", address)))
		}
		clitest.Eventually(t, func() bool { return h.Status().Waiting == 3 })
		require.Equal(t, []PortStatus{{Address: address, Waiting: 3}}, h.Status().Ports)
		require.NoError(t, h.Scale(1))
		clitest.Eventually(t, func() bool { return h.Status().Waiting == 0 })
		h.requireStatus(1, nil, "listening")
	}
}

// The memory of a worker must be measured.
func TestStatusMemory(t *testing.T) {
	eachWorker(t, func(t *testing.T, worker []string) {
		h := startPrimary(t, Settings{}, worker...)
		h.fork(1)
		require.Greater(t, h.Status().Workers[0].Memory, int64(1<<20))
		h.requireStatus(1, nil, "listening")
	})
}
