package cluster

import (
	"context"
	"syscall"
	"testing"

	"playing-with-processes/internal/clitest"

	"github.com/stretchr/testify/require"
)

// What callers may do during a reload.

// All calls during a reload must share the next reload, which begins after them.
func TestConcurrentReloads(t *testing.T) {
	t.Parallel()
	h, setCommand := startChanging(t, Settings{}, goHTTP...)
	h.fork(2)
	setCommand("go", "delayed")
	ends := []func() error{h.beginReload(t.Context())}
	first := h.awaitDelayed()
	for range 9 {
		ends = append(ends, h.beginReload(t.Context()))
	}
	setCommand(goHTTP...)
	first.proceed()
	for _, end := range ends {
		require.NoError(t, end())
	}
	await(h, func(Reloaded) bool { return true })
	await(h, func(Reloaded) bool { return true })
	require.Len(t, received[Reloading](h), 2)
	h.requireStatus(2, doneReload(2), allListening(2)...)
	require.Equal(t, []int{5, 6}, h.ids()) // a third reload would have started others
}

// A reload that is canceled must fail only for its caller: a call that waits gets the
// next reload. A call that stops waiting changes nothing.
func TestReloadCanceled(t *testing.T) {
	t.Parallel()
	h, setCommand := startChanging(t, Settings{}, goHTTP...)
	h.fork(2)
	setCommand("go", "delayed")
	ctx, cancel := context.WithCancel(t.Context())
	waitCtx, stopWaiting := context.WithCancel(t.Context())
	canceled, stopped, waiting := h.beginReload(ctx), h.beginReload(waitCtx), h.beginReload(t.Context())
	h.awaitDelayed()
	stopWaiting()
	require.ErrorIs(t, stopped(), context.Canceled)
	h.requireStatus(2, runningReload(0, 2), "listening", "listening", "online")
	setCommand(goHTTP...)
	cancel()
	require.ErrorIs(t, canceled(), context.Canceled)
	require.NoError(t, waiting())
	h.requireStatus(2, doneReload(2), allListening(2)...)
	require.Equal(t, []int{4, 5}, h.ids())
}

// If the call that runs a shared reload is canceled, the other calls must get another
// reload. (Any of the calls may run it, so most of these are canceled.)
func TestSharedReloadCanceled(t *testing.T) {
	t.Parallel()
	h, setCommand := startChanging(t, Settings{}, goHTTP...)
	h.fork(1)
	setCommand("go", "delayed")
	ctx, cancel := context.WithCancel(t.Context())
	first := h.beginReload(t.Context())
	var canceled []func() error
	for range 9 {
		canceled = append(canceled, h.beginReload(ctx))
	}
	waiting := h.beginReload(t.Context())
	h.awaitDelayed().proceed()
	require.NoError(t, first())
	candidate := h.awaitDelayed()
	setCommand(goHTTP...)
	cancel()
	for _, end := range canceled {
		require.ErrorIs(t, end(), context.Canceled)
	}
	candidate.proceed() // if it was not asked to leave
	require.NoError(t, waiting())
	h.requireStatus(1, doneReload(1), "listening")
}

// A reload that is canceled must not wait for the worker that it has started. That worker
// leaves or is killed, and the old workers serve.
func TestReloadCanceledWithoutWaiting(t *testing.T) {
	t.Parallel()
	settings := Settings{ReadyTimeout: clitest.Never, DrainTimeout: clitest.Never}
	h, setCommand := startChanging(t, settings, goHTTP...)
	_, address := h.fork(2)
	setCommand("go", "joins only")
	ctx, cancel := context.WithCancel(t.Context())
	end := h.beginReload(ctx)
	candidate := h.Workers()[2]
	h.requireStatus(2, runningReload(0, 2), "listening", "listening", "online")
	cancel()
	err := end()
	require.ErrorIs(t, err, context.Canceled)
	h.requireStatus(2, canceledReload(0, 2, err), "listening", "listening", "leaving") // it ignores the request
	candidate.Signal(syscall.SIGKILL)
	require.True(t, h.exitOf(candidate).AfterDisconnect)
	h.requireStatus(2, canceledReload(0, 2, err), allListening(2)...)
	require.Equal(t, []int{1, 2}, h.ids())
	require.Contains(t, get(t, "tcp", address), "worker")
}

// Shutdown while a new worker starts must end the reload, and a call that waits for the
// next.
func TestReloadShutdown(t *testing.T) {
	t.Parallel()
	h, setCommand := startChanging(t, Settings{}, goHTTP...)
	h.fork(2)
	setCommand("go", "delayed")
	end := h.beginReload(t.Context())
	h.awaitDelayed()
	waiting := h.beginReload(t.Context())
	require.NoError(t, h.Shutdown(t.Context()))
	require.ErrorIs(t, end(), ErrShutdown)
	require.ErrorIs(t, waiting(), ErrShutdown)
	h.requireStatus(0, canceledReload(0, 0, ErrShutdown))
	require.Equal(t, "off", h.Status().Restarting)
}

// Shutdown while an old worker finishes its requests must end the reload, and nothing
// else may begin.
func TestReloadShutdownWhileDraining(t *testing.T) {
	t.Parallel()
	h, setCommand := startChanging(t, Settings{DrainTimeout: clitest.Never}, "go", "hold")
	old, address := h.fork(2)
	require.NoError(t, sendRequest(dial(t, "tcp", address)))
	require.NoError(t, sendRequest(dial(t, "tcp", address)))
	h.awaitLine("serving /")
	h.awaitLine("serving /")
	setCommand(goHTTP...)
	end := h.beginReload(t.Context())
	h.requireStatus(2, runningReload(1, 1), "leaving", "listening", "listening")
	ended := make(chan error, 1)
	go func() { ended <- h.Shutdown(t.Context()) }()
	h.awaitShutdownBegun()
	require.ErrorIs(t, h.Scale(1), ErrShutdown)
	for _, w := range old {
		w.Signal(syscall.SIGKILL)
	}
	require.ErrorIs(t, end(), ErrShutdown)
	require.NoError(t, <-ended)
	require.ErrorIs(t, h.Reload(t.Context()), ErrShutdown)
	h.requireStatus(0, canceledReload(1, 0, ErrShutdown))
}

// No reload may begin during a shutdown.
func TestReloadAfterShutdown(t *testing.T) {
	t.Parallel()
	h := startPrimary(t, Settings{DrainTimeout: clitest.Never}, "go", "hold")
	workers, address := h.fork(1)
	require.NoError(t, sendRequest(dial(t, "tcp", address)))
	h.awaitLine("serving /")
	ended := make(chan error, 1)
	go func() { ended <- h.Shutdown(t.Context()) }()
	h.awaitShutdownBegun()
	require.ErrorIs(t, h.Reload(t.Context()), ErrShutdown)
	h.requireStatus(0, nil, "leaving")
	workers[0].Signal(syscall.SIGKILL)
	require.NoError(t, <-ended)
	h.requireStatus(0, nil)
}

// Shutdown must wait for the result of a reload, and not change it: this reload has
// failed before.
func TestReloadFailedBeforeShutdown(t *testing.T) {
	t.Parallel()
	h, setCommand := startChanging(t, Settings{DrainTimeout: clitest.Never}, "go", "hold")
	old, address := h.fork(2)
	for range 2 {
		require.NoError(t, sendRequest(dial(t, "tcp", address)))
		h.awaitLine("serving /")
	}
	setCommand(goHTTP...)
	end := h.beginReload(t.Context())
	h.requireStatus(2, runningReload(1, 1), "leaving", "listening", "listening")
	setCommand("./missing")
	h.Workers()[2].Signal(syscall.SIGKILL)
	exit := await(h, func(e Exit) bool { return e.Worker.ID() == 3 })
	ended := make(chan error, 1)
	go func() { ended <- h.Shutdown(t.Context()) }()
	h.awaitShutdownBegun()
	for _, w := range old {
		w.Signal(syscall.SIGKILL)
	}
	require.EqualError(t, end(), exit.String())
	require.NoError(t, <-ended)
	require.Equal(t, ReloadFailed, h.Status().Reload.State)
	await(h, func(Reloaded) bool { return true })
}

// A reload that waits only for the end of the last old worker must succeed, although
// Shutdown is called.
func TestReloadCompleteBeforeShutdown(t *testing.T) {
	t.Parallel()
	h, setCommand := startChanging(t, Settings{DrainTimeout: clitest.Never}, "go", "hold")
	old, address := h.fork(1)
	require.NoError(t, sendRequest(dial(t, "tcp", address)))
	h.awaitLine("serving /")
	setCommand(goHTTP...)
	end := h.beginReload(t.Context())
	h.requireStatus(1, runningReload(1, 0), "leaving", "listening")
	ended := make(chan error, 1)
	go func() { ended <- h.Shutdown(t.Context()) }()
	h.awaitShutdownBegun()
	old[0].Signal(syscall.SIGKILL)
	require.NoError(t, end())
	require.NoError(t, <-ended)
	require.Equal(t, ReloadDone, h.Status().Reload.State)
}

// awaitShutdownBegun waits until Shutdown has begun, in another goroutine.
func (h *harness) awaitShutdownBegun() {
	h.t.Helper()
	clitest.Eventually(h.t, func() bool { return h.Status().Restarting == "off" })
}
