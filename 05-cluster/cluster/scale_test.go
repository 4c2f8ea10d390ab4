package cluster

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// Scale must keep the workers with the lowest slots, and the port even without a worker. A call that
// fails changes nothing.
func TestScale(t *testing.T) {
	eachWorker(t, func(t *testing.T, worker []string) {
		h, setCommand := startChanging(t, Settings{}, worker...)
		require.NoError(t, h.Scale(3))
		h.requireStatus(3, nil, allListening(3)...)
		require.NoError(t, h.Scale(3))
		first := h.Workers()[0]
		address := h.listeningOf(first)
		require.NoError(t, h.Scale(1))
		h.requireStatus(1, nil, "listening")
		require.Equal(t, []int{1}, h.ids())
		require.Equal(t, first.String(), get(t, "tcp", address))
		require.NoError(t, h.Scale(0))
		h.requireStatus(0, nil)
		waiting := dial(t, "tcp", address)
		require.NoError(t, sendRequest(waiting))
		require.EqualError(t, h.Scale(-1), "-1 workers: the number cannot be negative")
		h.requireStatus(0, nil)
		setCommand("./missing")
		require.ErrorContains(t, h.Scale(1), "missing")
		h.requireStatus(0, nil)
		setCommand(worker...)
		require.NoError(t, h.Scale(2))
		require.Contains(t, body(t, waiting), "worker")
		h.requireStatus(2, nil, allListening(2)...)
		await(h, func(e Scaled) bool { return e == Scaled{From: 0, To: 2} })
		require.Empty(t, cmp.Diff([]Scaled{{From: 0, To: 3}, {From: 3, To: 1}, {From: 1, To: 0}, {From: 0, To: 1}, {From: 1, To: 0}}, received[Scaled](h)))
		await(h, func(e Failed) bool { return strings.Contains(e.String(), "missing") })
	})
}

// Scaling down during a reload must leave as many workers, and only new ones.
func TestScaleDownDuringReload(t *testing.T) {
	t.Parallel()
	h, setCommand := startChanging(t, Settings{}, goHTTP...)
	_, address := h.fork(3)
	setCommand("go", "delayed")
	end := h.beginReload(t.Context())
	candidate := h.awaitDelayed()
	require.NoError(t, h.Scale(1))
	h.requireStatus(1, runningReload(0, 1), "listening", "online")
	candidate.proceed()
	require.NoError(t, end())
	h.requireStatus(1, doneReload(1), "listening")
	require.Equal(t, []int{4}, h.ids())
	require.Equal(t, candidate.String(), get(t, "tcp", address))
}

// Scaling to 0 during a reload must leave no worker, not even a worker that was just
// started.
func TestScaleToNoneDuringReload(t *testing.T) {
	t.Parallel()
	h, setCommand := startChanging(t, Settings{}, goHTTP...)
	h.fork(2)
	setCommand("go", "delayed")
	end := h.beginReload(t.Context())
	candidate := h.awaitDelayed()
	require.NoError(t, h.Scale(0))
	h.requireStatus(0, runningReload(0, 0), "online")
	candidate.proceed()
	require.NoError(t, end())
	h.requireStatus(0, doneReload(0))
}

// Workers that are added during a reload are new, and must not be replaced.
func TestScaleUpDuringReload(t *testing.T) {
	t.Parallel()
	h, setCommand := startChanging(t, Settings{}, goHTTP...)
	h.fork(1)
	setCommand("go", "delayed")
	end := h.beginReload(t.Context())
	candidate := h.awaitDelayed()
	setCommand(goHTTP...)
	require.NoError(t, h.Scale(3))
	h.requireStatus(3, runningReload(0, 1), "listening", "online", "listening", "listening")
	candidate.proceed()
	require.NoError(t, end())
	h.requireStatus(3, doneReload(1), allListening(3)...)
	require.Equal(t, []int{2, 3, 4}, h.ids())
}

// Scaling down must first remove a worker that does not listen.
func TestScaleDownSparesListeningWorkers(t *testing.T) {
	t.Parallel()
	h, setCommand := startChanging(t, Settings{}, goHTTP...)
	workers, address := h.fork(1)
	setCommand("go", "delayed")
	require.NoError(t, h.Scale(2))
	h.awaitDelayed()
	require.NoError(t, h.Scale(1))
	require.Equal(t, 1, h.Size())
	require.Equal(t, workers[0].String(), get(t, "tcp", address))
	h.requireStatus(1, nil, "listening")
	require.Equal(t, []int{1}, h.ids())
}
