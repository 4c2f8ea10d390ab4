package cluster

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// What workers may do during a reload.

// A new worker that fails after it has taken over must stop the reload, and be replaced.
func TestReloadNewWorkerDies(t *testing.T) {
	t.Parallel()
	h, setCommand := startChanging(t, Settings{Restart: restartAtOnce()}, goHTTP...)
	_, address := h.fork(3)
	setCommand("go", "delayed")
	end := h.beginReload(t.Context())
	first := h.awaitDelayed()
	first.proceed()
	second := h.awaitDelayed()
	h.requireStatus(3, runningReload(1, 2), "listening", "listening", "listening", "online")
	setCommand(goHTTP...)
	first.Signal(syscall.SIGKILL)
	exit := h.exitOf(first)
	await(h, func(e Listening) bool { return e.Worker.ID() == 6 })
	second.proceed()
	err := end()
	require.EqualError(t, err, exit.String())
	h.requireStatus(3, failedReload(1, 2, err), allListening(3)...)
	require.Equal(t, []int{2, 3, 6}, h.ids())
	require.Contains(t, get(t, "tcp", address), "worker")
	require.NoError(t, h.Reload(t.Context()))
	h.requireStatus(3, doneReload(3), allListening(3)...)
}

// An old worker that dies during a reload must be replaced once, by a new worker.
func TestReloadOldWorkerDies(t *testing.T) {
	t.Parallel()
	h, setCommand := startChanging(t, Settings{Restart: restartAtOnce()}, goHTTP...)
	old, _ := h.fork(2)
	setCommand("go", "delayed")
	end := h.beginReload(t.Context())
	candidate := h.awaitDelayed()
	setCommand(goHTTP...)
	old[0].Signal(syscall.SIGKILL)
	await(h, func(e Listening) bool { return e.Worker.ID() == 4 })
	candidate.proceed()
	require.NoError(t, end())
	h.requireStatus(2, doneReload(1), allListening(2)...)
	require.Equal(t, []int{4, 5}, h.ids(), "the slot of 3 has a new worker already")
}

// A new worker that is killed while it starts must stop the reload.
func TestReloadNewWorkerKilled(t *testing.T) {
	t.Parallel()
	h, setCommand := startChanging(t, Settings{}, goHTTP...)
	h.fork(2)
	setCommand("go", "delayed")
	end := h.beginReload(t.Context())
	w := h.awaitDelayed()
	w.Signal(syscall.SIGKILL)
	err := end()
	require.EqualError(t, err, w.String()+" was never ready (signal killed)")
	h.requireStatus(2, failedReload(0, 2, err), allListening(2)...)
	require.Equal(t, []int{1, 2}, h.ids())
	setCommand(goHTTP...)
	require.NoError(t, h.Reload(t.Context()))
	h.requireStatus(2, doneReload(2), allListening(2)...)
}

// If an old worker dies during a reload, and its replacement does not listen yet, the
// reload's new worker must take the place of the replacement.
func TestReloadReplacesReplacement(t *testing.T) {
	t.Parallel()
	h, setCommand := startChanging(t, Settings{Restart: restartAtOnce()}, goHTTP...)
	old, _ := h.fork(1)
	setCommand("go", "delayed")
	end := h.beginReload(t.Context())
	candidate := h.awaitDelayed()
	old[0].Signal(syscall.SIGKILL)
	h.awaitDelayed() // the replacement, which does not proceed
	candidate.proceed()
	require.NoError(t, end())
	h.requireStatus(1, doneReload(1), "listening")
	require.Equal(t, []int{candidate.ID()}, h.ids())
}

// A reload must not be done before every worker that was started meanwhile is ready.
func TestReloadAwaitsAll(t *testing.T) {
	t.Parallel()
	h, setCommand := startChanging(t, Settings{Restart: restartAtOnce(), ReadyTimeout: enoughToStart(t)}, goHTTP...)
	old, _ := h.fork(2)
	setCommand("go", "delayed")
	end := h.beginReload(t.Context())
	candidate := h.awaitDelayed()
	old[0].Signal(syscall.SIGKILL)
	h.awaitDelayed()
	candidate.proceed()
	require.Error(t, end())
}

// The failure of a new worker must end the reload at once, and be its error.
func TestReloadNoticesFailure(t *testing.T) {
	t.Parallel()
	h, setCommand := startChanging(t, Settings{Restart: restartAtOnce()}, goHTTP...)
	h.fork(2)
	setCommand("go", "delayed")
	end := h.beginReload(t.Context())
	first := h.awaitDelayed()
	first.proceed()
	h.awaitDelayed() // and does not proceed
	setCommand(goHTTP...)
	first.Signal(syscall.SIGKILL)
	exit := h.exitOf(first)
	require.EqualError(t, end(), exit.String())
}

// New workers that leave by themselves must not keep a reload going: each slot is tried
// once.
func TestReloadToLeavingWorkers(t *testing.T) {
	t.Parallel()
	h, setCommand := startChanging(t, Settings{}, goHTTP...)
	h.fork(3)
	setCommand("go", "listens and leaves")
	h.Reload(t.Context())
	require.LessOrEqual(t, len(received[Forked](h)), 3+2*3, "each new worker, and its replacement")
}

func init() {
	roles["listens and leaves"] = func(...string) error {
		l, err := Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		defer l.Close()
		return Leave()
	}
}
