package cluster

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What only Linux tells, or lets a test see.

// A frozen worker has been given a connection, and one only: the others get theirs.
func TestStatusFrozen(t *testing.T) {
	each(t, func(t *testing.T, worker []string) {
		r := startPrimary(t, Settings{AcceptTimeout: patience}, worker...)
		workers, address := r.fork(2)
		conn := freeze(t, r, workers[0], address)
		require.Equal(t, name(workers[1]), get(t, "tcp", address))
		require.Eventually(t, func() bool { // the answer may be faster than the news of it
			status := r.Status().Workers
			return *status[0].Pending == 1 && *status[1].Pending == 0
		}, patience, time.Millisecond)
		r.requireTruth(2, nil, listening(2)...)
		workers[0].Signal(syscall.SIGCONT)
		require.Equal(t, name(workers[0]), body(t, conn))
		require.Eventually(t, func() bool { return *r.Status().Workers[0].Pending == 0 }, patience, time.Millisecond)
	})
}

// Who waits in the kernel because there is no worker is counted.
func TestStatusWaiting(t *testing.T) {
	t.Parallel()
	for _, policy := range nodePolicies {
		r := startPrimary(t, Settings{Policy: policy}, goHTTP...)
		_, address := r.fork(1)
		require.NoError(t, r.Scale(0))
		r.requireTruth(0, nil)
		for range 3 {
			require.NoError(t, askFor(dial(t, "tcp", address)))
		}
		require.Eventually(t, func() bool { return r.Status().Waiting == 3 }, patience, time.Millisecond)
		require.Equal(t, []PortStatus{{Address: address, Waiting: 3}}, r.Status().Ports)
		require.NoError(t, r.Scale(1))
		require.Eventually(t, func() bool { return r.Status().Waiting == 0 }, patience, time.Millisecond)
		r.requireTruth(1, nil, "listening")
	}
}

// What a worker takes is measured.
func TestStatusMemory(t *testing.T) {
	each(t, func(t *testing.T, worker []string) {
		r := startPrimary(t, Settings{}, worker...)
		r.fork(1)
		require.Greater(t, r.Status().Workers[0].Memory, int64(1<<20))
		r.requireTruth(1, nil, "listening")
	})
}
