package supervise

import (
	"fmt"
	"testing"
	"time"

	"playing-with-processes/internal/clitest"

	"github.com/stretchr/testify/require"
)

// Reload must replace each worker, the new one ready before the old one leaves.
func TestReload(t *testing.T) {
	t.Parallel()
	h := startSupervisor(t, Config{Workers: 2}, serves)
	await[Ready](h)
	await[Ready](h)
	require.NoError(t, h.Reload(t.Context()))
	await[Reloading](h)
	for range 2 {
		new, old := await[Ready](h).Worker, await[Exited](h).Worker
		require.Greater(t, new.ID(), 2)
		require.LessOrEqual(t, old.ID(), 2)
	}
	reloaded := await[Reloaded](h)
	require.Equal(t, Reloaded{Replaced: 2, Took: reloaded.Took}, reloaded)
	status := h.Status().Reload
	require.Equal(t, ReloadDone, status.State)
	require.InDelta(t, reloaded.Took.Seconds(), status.Seconds, 1e-6)
}

// A candidate that does not get ready must be killed, and the old worker must stay. The
// candidate's time is up when the reload says so, and not before.
func TestReloadTimeout(t *testing.T) {
	t.Parallel()
	timeout := clitest.Enough(t, 200)
	h := startSupervisor(t, Config{ReadyTimeout: timeout}, serves)
	old, err := h.Fork()
	require.NoError(t, err)
	await[Ready](h)
	h.next(sleeps)
	err = h.Reload(t.Context())
	require.EqualError(t, err, fmt.Sprintf("worker 2 was never ready (signal killed): not ready within %v", timeout))
	require.Equal(t, ReloadFailed, h.Status().Reload.State)
	require.Len(t, h.Workers(), 1)
	require.Same(t, old, h.Workers()[0])
	require.Equal(t, Serving, old.State())
}

// Scale must add workers and take away those that do not serve first, and then those with the
// highest slots.
func TestScale(t *testing.T) {
	t.Parallel()
	h := startSupervisor(t, Config{DrainTimeout: 50 * time.Millisecond}, serves)
	require.NoError(t, h.Scale(3))
	for range 3 {
		await[Ready](h)
	}
	h.next(sleeps)
	require.NoError(t, h.Scale(4))
	require.NoError(t, h.Scale(2))
	require.Equal(t, 2, h.Size())
	ended := map[int]bool{await[Exited](h).Worker.ID(): true, await[Exited](h).Worker.ID(): true}
	require.Equal(t, map[int]bool{3: true, 4: true}, ended)
}
