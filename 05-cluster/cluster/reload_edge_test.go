package cluster

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What may happen while a reload goes on.

// A new worker that fails after it has taken over stops the reload, and is replaced.
func TestReloadNewWorkerDies(t *testing.T) {
	t.Parallel()
	policy := patient()
	r, next := startChanging(t, Settings{Restart: &policy}, goHTTP...)
	_, address := r.fork(3)
	next("go", "late")
	end := r.begin(t.Context())
	first := r.late()
	first.goOn()
	second := r.late()
	r.requireTruth(3, running(1, 2), "listening", "listening", "listening", "online")
	next(goHTTP...)
	first.Signal(syscall.SIGKILL)
	exit := r.exitOf(first)
	await(r, func(e Listening) bool { return e.Worker.ID() == 6 })
	second.goOn()
	err := end()
	require.EqualError(t, err, exit.String())
	r.requireTruth(3, failed(1, 2, err), listening(3)...)
	require.Equal(t, []int{2, 3, 6}, r.ids())
	require.Contains(t, get(t, "tcp", address), "worker")
	require.NoError(t, r.Reload(t.Context()))
	r.requireTruth(3, done(3), listening(3)...)
}

// All who call Reload while one goes on share the next: that begins after their calls.
func TestReloadTogether(t *testing.T) {
	t.Parallel()
	r, next := startChanging(t, Settings{}, goHTTP...)
	r.fork(2)
	next("go", "late")
	ends := []func() error{r.begin(t.Context())}
	first := r.late()
	for range 9 {
		ends = append(ends, r.begin(t.Context()))
	}
	next(goHTTP...)
	first.goOn()
	for _, end := range ends {
		require.NoError(t, end())
	}
	await(r, func(Reloaded) bool { return true })
	await(r, func(Reloaded) bool { return true })
	require.Len(t, sofar[Reloading](r), 2)
	r.requireTruth(2, done(2), listening(2)...)
	require.Equal(t, []int{5, 6}, r.ids()) // nobody was started for a third one
}

// A reload that is called off is so for who called it: who waits for the next gets that.
// One who is tired of waiting changes nothing.
func TestReloadCanceled(t *testing.T) {
	t.Parallel()
	r, next := startChanging(t, Settings{}, goHTTP...)
	r.fork(2)
	next("go", "late")
	ctx, cancel := context.WithCancel(t.Context())
	tiredOf, tired := context.WithCancel(t.Context())
	unwanted, tiredEnd, waiting := r.begin(ctx), r.begin(tiredOf), r.begin(t.Context())
	r.late()
	tired()
	require.ErrorIs(t, tiredEnd(), context.Canceled)
	r.requireTruth(2, running(0, 2), "listening", "listening", "online")
	next(goHTTP...)
	cancel()
	require.ErrorIs(t, unwanted(), context.Canceled)
	require.NoError(t, waiting())
	r.requireTruth(2, done(2), listening(2)...)
	require.Equal(t, []int{4, 5}, r.ids())
}

// Of those who share the next reload, too, whoever has begun it may call it off: the others
// get another. (Which of them begins it is not for a test to say: most of these call it off.)
func TestReloadCanceledByOther(t *testing.T) {
	t.Parallel()
	r, next := startChanging(t, Settings{}, goHTTP...)
	r.fork(1)
	next("go", "late")
	ctx, cancel := context.WithCancel(t.Context())
	first := r.begin(t.Context())
	var unwanted []func() error
	for range 9 {
		unwanted = append(unwanted, r.begin(ctx))
	}
	waiting := r.begin(t.Context())
	r.late().goOn()
	require.NoError(t, first())
	candidate := r.late()
	next(goHTTP...)
	cancel()
	for _, end := range unwanted {
		require.ErrorIs(t, end(), context.Canceled)
	}
	candidate.goOn() // if it was to be
	require.NoError(t, waiting())
	r.requireTruth(1, done(1), "listening")
}

// Who calls a reload off does not wait for the worker that it had started: that leaves, or
// is killed, and the old ones serve.
func TestReloadCanceledAtOnce(t *testing.T) {
	t.Parallel()
	r, next := startChanging(t, Settings{ReadyTimeout: 2 * patience, DrainTimeout: 2 * patience}, goHTTP...)
	_, address := r.fork(2)
	next("go", "joins")
	ctx, cancel := context.WithCancel(t.Context())
	end := r.begin(ctx)
	candidate := r.Workers()[2]
	r.requireTruth(2, running(0, 2), "listening", "listening", "online")
	cancel()
	err := end()
	require.ErrorIs(t, err, context.Canceled)
	r.requireTruth(2, canceled(0, 2, err), "listening", "listening", "leaving") // it does not do so
	candidate.Signal(syscall.SIGKILL)
	require.True(t, r.exitOf(candidate).AfterDisconnect)
	r.requireTruth(2, canceled(0, 2, err), listening(2)...)
	require.Equal(t, []int{1, 2}, r.ids())
	require.Contains(t, get(t, "tcp", address), "worker")
}

// Shutdown ends a reload, and who waits for the next, while a new worker starts.
func TestReloadShutdown(t *testing.T) {
	t.Parallel()
	r, next := startChanging(t, Settings{}, goHTTP...)
	r.fork(2)
	next("go", "late")
	end := r.begin(t.Context())
	r.late()
	waiting := r.begin(t.Context())
	require.NoError(t, r.Shutdown(t.Context()))
	require.ErrorIs(t, end(), ErrShutdown)
	require.ErrorIs(t, waiting(), ErrShutdown)
	r.requireTruth(0, canceled(0, 0, ErrShutdown))
	require.Equal(t, "off", r.Status().Restarting)
}

// And while an old worker finishes what is open. During all that nothing else begins.
func TestReloadShutdownWhileOldOneDrains(t *testing.T) {
	t.Parallel()
	r, next := startChanging(t, Settings{DrainTimeout: patience}, "go", "hold")
	old, address := r.fork(2)
	require.NoError(t, askFor(dial(t, "tcp", address)))
	require.NoError(t, askFor(dial(t, "tcp", address)))
	r.awaitLine("serving /")
	r.awaitLine("serving /")
	next(goHTTP...)
	end := r.begin(t.Context())
	r.requireTruth(2, running(1, 1), "leaving", "listening", "listening")
	ended := make(chan error, 1)
	go func() { ended <- r.Shutdown(t.Context()) }()
	require.Eventually(t, func() bool { return r.Status().Restarting == "off" }, patience, time.Millisecond)
	require.ErrorIs(t, r.Scale(1), ErrShutdown)
	for _, w := range old {
		w.Signal(syscall.SIGKILL)
	}
	require.ErrorIs(t, end(), ErrShutdown)
	require.NoError(t, <-ended)
	require.ErrorIs(t, r.Reload(t.Context()), ErrShutdown)
	r.requireTruth(0, canceled(1, 0, ErrShutdown))
}

// During Shutdown no reload begins.
func TestReloadAfterShutdown(t *testing.T) {
	t.Parallel()
	r := startPrimary(t, Settings{DrainTimeout: patience}, "go", "hold")
	workers, address := r.fork(1)
	require.NoError(t, askFor(dial(t, "tcp", address)))
	r.awaitLine("serving /")
	ended := make(chan error, 1)
	go func() { ended <- r.Shutdown(t.Context()) }()
	require.Eventually(t, func() bool { return r.Status().Restarting == "off" }, patience, time.Millisecond)
	require.ErrorIs(t, r.Reload(t.Context()), ErrShutdown)
	r.requireTruth(0, nil, "leaving")
	workers[0].Signal(syscall.SIGKILL)
	require.NoError(t, <-ended)
	r.requireTruth(0, nil)
}

// An old worker that dies meanwhile is started again, as a new one: it needs no other.
func TestReloadOldWorkerDies(t *testing.T) {
	t.Parallel()
	policy := patient()
	r, next := startChanging(t, Settings{Restart: &policy}, goHTTP...)
	old, _ := r.fork(2)
	next("go", "late")
	end := r.begin(t.Context())
	candidate := r.late()
	next(goHTTP...)
	old[0].Signal(syscall.SIGKILL)
	await(r, func(e Listening) bool { return e.Worker.ID() == 4 })
	candidate.goOn()
	require.NoError(t, end())
	r.requireTruth(2, done(1), listening(2)...)
	require.Equal(t, []int{3, 4}, r.ids())
}

// A new worker that is killed while it starts is as good as one that fails by itself.
func TestReloadNewestKilled(t *testing.T) {
	t.Parallel()
	r, next := startChanging(t, Settings{}, goHTTP...)
	r.fork(2)
	next("go", "late")
	end := r.begin(t.Context())
	r.late().Signal(syscall.SIGKILL)
	err := end()
	require.EqualError(t, err, "worker 3 never ready (signal killed)")
	r.requireTruth(2, failed(0, 2, err), listening(2)...)
	require.Equal(t, []int{1, 2}, r.ids())
	next(goHTTP...)
	require.NoError(t, r.Reload(t.Context()))
	r.requireTruth(2, done(2), listening(2)...)
}

// If the old worker dies while the new one starts, and has been replaced by one that does
// not listen yet, it is that one which gives way to the new one when that listens.
func TestReloadOvertakes(t *testing.T) {
	t.Parallel()
	policy := patient()
	r, next := startChanging(t, Settings{Restart: &policy}, goHTTP...)
	old, _ := r.fork(1)
	next("go", "late")
	end := r.begin(t.Context())
	candidate := r.late()
	old[0].Signal(syscall.SIGKILL)
	r.late() // the replacement, which is not told to go on
	candidate.goOn()
	require.NoError(t, end())
	r.requireTruth(1, done(1), "listening")
	require.Equal(t, []int{candidate.ID()}, r.ids())
}

// A reload is not done before each worker that was started meanwhile is ready, too.
func TestReloadAwaitsAll(t *testing.T) {
	t.Parallel()
	policy := patient()
	r, next := startChanging(t, Settings{Restart: &policy, ReadyTimeout: shortReady}, goHTTP...)
	old, _ := r.fork(2)
	next("go", "late")
	end := r.begin(t.Context())
	candidate := r.late()
	old[0].Signal(syscall.SIGKILL)
	r.late()
	candidate.goOn()
	require.Error(t, end())
}

// The failure of a new worker is noticed at once, and is what the reload tells.
func TestReloadNoticesAtOnce(t *testing.T) {
	t.Parallel()
	policy := patient()
	r, next := startChanging(t, Settings{Restart: &policy}, goHTTP...)
	r.fork(2)
	next("go", "late")
	end := r.begin(t.Context())
	first := r.late()
	first.goOn()
	r.late() // and goes on being so
	next(goHTTP...)
	first.Signal(syscall.SIGKILL)
	exit := r.exitOf(first)
	require.EqualError(t, end(), exit.String())
}

// Shutdown does not hide how a reload has ended, and waits until that has been told: this one
// had failed before.
func TestReloadFailsBeforeShutdown(t *testing.T) {
	t.Parallel()
	r, next := startChanging(t, Settings{DrainTimeout: patience}, "go", "hold")
	old, address := r.fork(2)
	for range 2 {
		require.NoError(t, askFor(dial(t, "tcp", address)))
		r.awaitLine("serving /")
	}
	next(goHTTP...)
	end := r.begin(t.Context())
	r.requireTruth(2, running(1, 1), "leaving", "listening", "listening")
	next("./nobody")
	r.Workers()[2].Signal(syscall.SIGKILL)
	exit := await(r, func(e Exit) bool { return e.Worker.ID() == 3 })
	ended := make(chan error, 1)
	go func() { ended <- r.Shutdown(t.Context()) }()
	require.Eventually(t, func() bool { return r.Status().Restarting == "off" }, patience, time.Millisecond)
	for _, w := range old {
		w.Signal(syscall.SIGKILL)
	}
	require.EqualError(t, end(), exit.String())
	require.NoError(t, <-ended)
	require.Equal(t, ReloadFailed, r.Status().Reload.State)
	await(r, func(Reloaded) bool { return true })
}

// And this one had replaced all; what it waited for was the end of the last old worker.
func TestReloadCompleteBeforeShutdown(t *testing.T) {
	t.Parallel()
	r, next := startChanging(t, Settings{DrainTimeout: patience}, "go", "hold")
	old, address := r.fork(1)
	require.NoError(t, askFor(dial(t, "tcp", address)))
	r.awaitLine("serving /")
	next(goHTTP...)
	end := r.begin(t.Context())
	r.requireTruth(1, running(1, 0), "leaving", "listening")
	ended := make(chan error, 1)
	go func() { ended <- r.Shutdown(t.Context()) }()
	require.Eventually(t, func() bool { return r.Status().Restarting == "off" }, patience, time.Millisecond)
	old[0].Signal(syscall.SIGKILL)
	require.NoError(t, end())
	require.NoError(t, <-ended)
	require.Equal(t, ReloadDone, r.Status().Reload.State)
}

// New workers that leave by themselves do not keep a reload going: each place is tried once.
func TestReloadOfThoseWhoLeave(t *testing.T) {
	t.Parallel()
	r, next := startChanging(t, Settings{}, goHTTP...)
	r.fork(3)
	next("go", "listens and leaves")
	r.Reload(t.Context())
	require.LessOrEqual(t, len(sofar[Forked](r)), 3+2*3, "each new one, and its successor")
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

// Whoever has no time any more starts nothing.
func TestReloadTooLate(t *testing.T) {
	t.Parallel()
	r, _ := startChanging(t, Settings{}, goHTTP...)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, r.Reload(ctx), context.Canceled)
	require.Nil(t, r.Status().Reload)
}
