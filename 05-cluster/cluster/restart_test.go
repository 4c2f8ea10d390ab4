package cluster

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
	"playing-with-processes/internal/ipc"
	"playing-with-processes/internal/restart"
)

// The restarts of a program that cannot be started, or fails, must be suspended and
// probed, with its first error in the event, and be on again once a probe has proved
// stable.
func TestRestartsSuspended(t *testing.T) {
	t.Parallel()
	policy := restart.Default(0)
	policy.Period, policy.StableAfter, policy.FirstPause = 2*time.Second, 200*time.Millisecond, time.Millisecond
	policy.MaxPause = 10 * time.Millisecond
	h, setCommand := startChanging(t, Settings{Restart: &policy}, goHTTP...)
	workers, _ := h.fork(1)
	setCommand("./missing")
	workers[0].Signal(syscall.SIGKILL)
	require.Contains(t, await(h, func(Failed) bool { return true }).Err.Error(), "missing")
	suspended := await(h, func(e Restarts) bool { return e.State == restart.Suspended })
	require.Regexp(t, `missing|killed`, suspended.FirstError)
	require.Positive(t, suspended.Next)
	setCommand(goHTTP...)
	await(h, func(e Restarts) bool { return e.State == restart.Probing })
	await(h, func(e Restarts) bool { return e.State == restart.On })
	require.Len(t, h.Workers(), 1)
}

// A worker that leaves by itself is replaced. If it is asked to leave as well, its
// replacement must stay.
func TestReplacementStays(t *testing.T) {
	t.Parallel()
	settings := Settings{Restart: restartAtOnce(), DrainTimeout: clitest.Never}
	h, setCommand := startChanging(t, settings, "go", "hostile", "leaves and stays")
	w, err := h.Fork()
	require.NoError(t, err)
	setCommand(goHTTP...)
	second := await(h, func(e Listening) bool { return e.Worker != w }).Worker
	w.Leave()
	w.Signal(syscall.SIGKILL)
	require.True(t, h.exitOf(w).AfterDisconnect)
	second.Signal(syscall.SIGKILL)
	await(h, func(e Listening) bool { return e.Worker != w && e.Worker != second })
}

// A worker that does not join the cluster in time must be killed. A worker that has
// joined need not listen: it may have another task.
func TestReadyTimeout(t *testing.T) {
	t.Parallel()
	timeout := enoughToStart(t)
	h, setCommand := startChanging(t, Settings{ReadyTimeout: timeout}, "go", "delayed")
	joined, err := h.Fork()
	require.NoError(t, err)
	h.awaitDelayed()
	setCommand("sleep", "1000")
	var silent []*Worker
	for range 3 {
		w, err := h.Fork()
		require.NoError(t, err)
		silent = append(silent, w)
	}
	for _, w := range silent {
		require.Equal(t, fmt.Sprintf("still starting after %v", timeout), h.exitOf(w).Why)
	}
	require.Contains(t, h.ids(), joined.ID())
}

// The tick must be short enough for both timeouts that are counted in ticks.
func TestTick(t *testing.T) {
	t.Parallel()
	for _, s := range []Settings{
		{AcceptTimeout: time.Second, QueueTimeout: time.Hour},
		{AcceptTimeout: time.Hour, QueueTimeout: time.Second},
	} {
		require.Equal(t, time.Second/10, s.tick())
	}
}

// Whether a worker was to leave must be known when its channel ends, as in Node.
func TestDisconnectAfterDisconnect(t *testing.T) {
	t.Parallel()
	h := startPrimary(t, Settings{Restart: restartAtOnce()}, goHTTP...)
	workers, _ := h.fork(2)
	workers[0].Leave()
	require.True(t, await(h, func(e Disconnect) bool { return e.Worker == workers[0] }).AfterDisconnect)
	workers[1].Signal(syscall.SIGKILL)
	require.False(t, await(h, func(e Disconnect) bool { return e.Worker == workers[1] }).AfterDisconnect)
}

// Without a socket in the reply, the connections of a listener come one by one, whatever error
// number of no error the reply has.
func TestReplyWithoutSocket(t *testing.T) {
	for _, errno := range []string{"null", "0", ""} {
		l := new(listener)
		require.NoError(t, l.open(message{Key: "key", Errno: []byte(errno)}, ipc.Message{}), errno)
		require.Nil(t, l.shared)
		require.Equal(t, "key", l.key)
	}
}
