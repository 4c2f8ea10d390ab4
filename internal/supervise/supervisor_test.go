package supervise

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
	"playing-with-processes/internal/ipc"
	"playing-with-processes/internal/restart"
)

// A worker that exits must be replaced, in its slot.
func TestReplaced(t *testing.T) {
	t.Parallel()
	h := startSupervisor(t, Config{Workers: 1, Restart: patientPolicy()}, serves)
	first := await[Ready](h).Worker
	first.Signal(syscall.SIGKILL)
	exited := await[Exited](h)
	require.Equal(t, Exited{Worker: first, Exit: ipc.Exit{Code: -1, Signal: syscall.SIGKILL}, Reason: ReasonKilled}, exited)
	second := await[Ready](h).Worker
	require.Len(t, h.Workers(), 1)
	require.Same(t, second, h.Workers()[0])
	require.Equal(t, 1, h.Status().Workers[0].Restarts)
	require.Equal(t, Gone, first.State())
}

// Shutdown must return when all workers have left, and count those that did not end as they
// should.
func TestShutdown(t *testing.T) {
	t.Parallel()
	h := startSupervisor(t, Config{Workers: 1, Restart: patientPolicy()}, serves)
	await[Ready](h)
	h.next(`echo '"ready"' >&3; read stop <&3; exit 3`)
	_, err := h.Fork()
	require.NoError(t, err)
	await[Ready](h)
	require.Equal(t, 1, h.Shutdown())
	codes := map[int]bool{}
	for range 2 {
		exited := await[Exited](h)
		require.True(t, exited.Intended, exited)
		codes[exited.Exit.Code] = true
	}
	require.Equal(t, map[int]bool{0: true, 3: true}, codes)
	require.Empty(t, h.Workers())
}

// A worker that retires must serve until its replacement is ready, and leave then.
func TestRetire(t *testing.T) {
	t.Parallel()
	h := startSupervisor(t, Config{Workers: 1, Restart: patientPolicy()}, retires)
	old := await[RetireNotice](h).Worker
	h.next(serves)
	require.Contains(t, []State{Retiring, Leaving, Gone}, old.State())
	ready := await[Ready](h).Worker
	exited := await[Exited](h)
	for ready == old || exited.Worker != old { // its replacement may retire as well
		exited = await[Exited](h)
	}
	require.True(t, exited.Intended)
	require.Equal(t, 1, h.Size())
}

// A worker that wants to retire before it is ready must be replaced once it is.
func TestRetireBeforeReady(t *testing.T) {
	t.Parallel()
	h := startSupervisor(t, Config{Workers: 1, Restart: patientPolicy()},
		`echo '"retire"' >&3; read go <&3; echo '"ready"' >&3; read stop <&3`)
	w := await[Started](h).Worker
	require.Less(t, w.State(), Serving)
	h.next(serves)
	require.NoError(t, w.Send(t.Context(), "go"))
	require.Same(t, w, await[RetireNotice](h).Worker)
	require.NotSame(t, w, await[Ready](h).Worker)
	require.Same(t, w, await[Exited](h).Worker)
}

// A worker that leaves by itself must be replaced at once, and must not be asked to leave.
func TestMarkLeaving(t *testing.T) {
	t.Parallel()
	h := startSupervisor(t, Config{Workers: 1, Restart: patientPolicy(), DrainTimeout: clitest.Never},
		`echo '"ready"' >&3; echo '"leaving"' >&3; read go <&3; exit 3`)
	w := await[Ready](h).Worker
	h.next(serves)
	require.NotSame(t, w, await[Started](h).Worker)
	require.NotSame(t, w, await[Ready](h).Worker)
	w.Leave() // which must not remove the slot of its replacement
	require.Equal(t, 1, h.Size())
	require.NoError(t, w.Send(t.Context(), "go"))
	exited := await[Exited](h)
	require.Equal(t, Exited{Worker: w, Exit: ipc.Exit{Code: 3}, Intended: true, Reason: ReasonCrashed}, exited)
}

// A worker that leaves by itself must exit within DrainTimeout, even if it has asked to be
// replaced before. It must have one replacement.
func TestMarkLeavingAfterRetiring(t *testing.T) {
	t.Parallel()
	h := startSupervisor(t, Config{Workers: 1, DrainTimeout: time.Millisecond},
		`echo '"ready"' >&3; read go <&3; echo '"retire"' >&3; read go <&3; echo '"leaving"' >&3; exec sleep 100`)
	w := await[Ready](h).Worker
	h.next(sleeps) // never ready: it cannot ask w to leave
	require.NoError(t, w.Send(t.Context(), "go"))
	replacement := await[Started](h).Worker
	require.NoError(t, w.Send(t.Context(), "go"))
	exited := await[Exited](h)
	require.Same(t, w, exited.Worker)
	require.True(t, exited.Intended)
	require.Equal(t, []*Worker{replacement}, h.Workers())
	h.Supervisor.mu.Lock()
	defer h.Supervisor.mu.Unlock()
	_, due := h.pool.DueAt(0, time.Now())
	require.False(t, due)
}

// A worker that is asked to leave must not be replaced.
func TestLeave(t *testing.T) {
	t.Parallel()
	h := startSupervisor(t, Config{Workers: 2}, serves)
	w := await[Ready](h).Worker
	await[Ready](h)
	w.Leave()
	w.Leave()
	require.Same(t, w, await[Exited](h).Worker)
	require.Equal(t, 1, h.Size())
	require.Len(t, h.Workers(), 1)
	require.Empty(t, h.events)
}

// To leave a worker that retires must remove its slot, and end its replacement, too.
func TestLeaveWhileRetiring(t *testing.T) {
	t.Parallel()
	h := startSupervisor(t, Config{Workers: 1, Restart: patientPolicy()}, retires)
	old := await[RetireNotice](h).Worker
	h.next(sleeps)
	old.Leave()
	await[Exited](h)
	clitest.Eventually(t, func() bool { return len(h.Workers()) == 0 })
	require.Zero(t, h.Size())
}

// A worker that closes its channel and goes on must be terminated after DrainTimeout, which is
// a failure.
func TestDisconnected(t *testing.T) {
	t.Parallel()
	h := startSupervisor(t, Config{Workers: 1, DrainTimeout: time.Millisecond},
		`echo '"ready"' >&3; exec 3>&-; exec sleep 100`)
	w := await[Ready](h).Worker
	exited := await[Exited](h)
	require.Equal(t, Exited{Worker: w, Exit: ipc.Exit{Code: -1, Signal: syscall.SIGTERM}, Reason: ReasonKilled}, exited)
}

// A worker that stays in the state Starting must be killed after ReadyTimeout. Online is
// enough to go on.
func TestReadyTimeout(t *testing.T) {
	t.Parallel()
	const timeout = 50 * time.Millisecond
	h := startSupervisor(t, Config{ReadyTimeout: timeout, DrainTimeout: clitest.Never}, sleeps)
	w, err := h.Fork()
	require.NoError(t, err)
	exited := await[Exited](h)
	require.Equal(t, "still starting after 50ms", exited.Why)
	require.GreaterOrEqual(t, time.Since(w.ForkedAt), timeout-timeout/startTicks)

	h = startSupervisor(t, Config{ReadyTimeout: timeout, DrainTimeout: clitest.Never}, `echo '{"a":1}' >&3; printf '\002{"cmd":"online"}\nx\n' >&3; exec sleep 60`)
	_, err = h.Fork()
	require.NoError(t, err)
	require.Equal(t, `still starting after 50ms; its message is not JSON: "\x02{\"cmd\":\"online\"}"`, await[Exited](h).Why)

	h = startSupervisor(t, Config{ReadyTimeout: clitest.Never}, `echo '"online"' >&3; read stop <&3`)
	w, err = h.Fork()
	require.NoError(t, err)
	clitest.Eventually(t, func() bool { return w.State() == Online })
	<-w.startOver // watchStart has returned, or will
}

// A worker that floods its channel must be slowed down.
func TestFlood(t *testing.T) {
	t.Parallel()
	const many = 1000
	h := startSupervisor(t, Config{}, `yes '"flood"' | head -n 1000 >&3; `+serves)
	w, err := h.Fork()
	require.NoError(t, err)
	await[Ready](h)
	require.GreaterOrEqual(t, time.Since(w.ForkedAt), many/FreeMessages*time.Millisecond)
}

// A call after Close must be refused.
func TestClosed(t *testing.T) {
	t.Parallel()
	h := startSupervisor(t, Config{Workers: 1}, serves)
	await[Ready](h)
	h.Close()
	_, err := h.Fork()
	require.ErrorIs(t, err, ErrShutdown)
	require.ErrorIs(t, h.Scale(1), ErrShutdown)
	require.ErrorIs(t, h.Reload(t.Context()), ErrShutdown)
	require.Zero(t, h.Size())
	require.True(t, h.Status().Closed)
}

// The first error must be the first of those in a row, of the slot that keeps failing. The
// end of a worker that was stable, or a failure of another slot, must not hide it.
func TestFirstErrorOfItsSlot(t *testing.T) {
	var events []Event
	s := New(Config{Notify: func(e Event) { events = append(events, e) }})
	s.pool = restart.New(restart.Default(2), 2, time.Now())
	later := time.Now().Add(time.Hour) // every pause is over
	s.pool.PopDue(later)
	s.pool.PopDue(later)
	s.pool.Ready(0, time.Now().Add(-restart.StableAfter))
	s.failed(0, nil, "it was killed")
	for _, what := range []string{"no database", "no database, of course"} {
		s.pool.PopDue(later)
		s.failed(0, nil, what)
	}
	s.failed(1, nil, "the other one")
	for s.restarts == restart.On {
		s.pool.PopDue(later)
		s.pool.PopDue(later)
		s.failed(0, nil, "and so on")
		s.notifyRestarts()
	}
	require.Contains(t, events[len(events)-1].String(), "the first error was: no database")
}
