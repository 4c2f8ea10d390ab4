package cluster

import (
	"context"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
)

// enoughToStart and enoughToAccept return timeouts in which a worker can do that.
func enoughToStart(t *testing.T) time.Duration {
	return clitest.Enough(t, 30, clitest.Self(t), "-test.list", "^$")
}
func enoughToAccept(t *testing.T) time.Duration { return clitest.Enough(t, 200) }

// requireStatus waits until the status reports a size, a reload, and workers in these
// states, oldest first. The workers must be the processes that the operating system
// knows.
func (h *harness) requireStatus(size int, reload *ReloadStatus, states ...string) {
	h.t.Helper()
	require.EventuallyWithT(h.t, func(c *assert.CollectT) {
		status, running := h.Status(), h.runningPIDs()
		var pids []int
		var got []string
		listening := 0
		for _, w := range status.Workers {
			pids, got = append(pids, w.Pid), append(got, w.State)
			if w.State == "listening" {
				listening++
			}
		}
		require.ElementsMatch(c, running, pids)
		require.Equal(c, states, got)
		require.Equal(c, size, status.Size)
		for _, port := range status.Ports {
			require.Equal(c, listening, port.Workers)
		}
		require.Empty(c, cmp.Diff(reload, status.Reload, cmpopts.IgnoreFields(ReloadStatus{}, "Began", "Seconds")))
	}, clitest.Remaining(h.t), 10*time.Millisecond)
}

// allListening returns the states of n workers that listen.
func allListening(n int) []string { return slices.Repeat([]string{"listening"}, n) }

func runningReload(replaced, remaining int) *ReloadStatus {
	return &ReloadStatus{State: ReloadRunning, Replaced: replaced, Remaining: remaining}
}

func doneReload(replaced int) *ReloadStatus {
	return &ReloadStatus{State: ReloadDone, Replaced: replaced}
}

func failedReload(replaced, remaining int, err error) *ReloadStatus {
	return &ReloadStatus{State: ReloadFailed, Replaced: replaced, Remaining: remaining, Error: err.Error()}
}

func canceledReload(replaced, remaining int, err error) *ReloadStatus {
	return &ReloadStatus{State: ReloadCanceled, Replaced: replaced, Remaining: remaining, Error: err.Error()}
}

// runningPIDs returns the pids of this harness's processes, as the operating system
// reports them. Other systems than Linux only tell which of the primary's workers run.
func (h *harness) runningPIDs() (pids []int) {
	mark := slices.IndexFunc(h.env, func(v string) bool { return strings.HasPrefix(v, "STARTED_FOR=") })
	if pids, known := clitest.Children(h.env[mark]); known {
		return pids
	}
	for _, w := range h.Workers() {
		if syscall.Kill(w.Pid(), 0) == nil {
			pids = append(pids, w.Pid())
		}
	}
	return pids
}

// beginReload begins a reload, and returns once Reload waits for a new worker or for
// another reload. end waits for its result.
func (h *harness) beginReload(ctx context.Context) (end func() error) {
	h.t.Helper()
	waiting, ended := make(chan struct{}), make(chan error, 1)
	ctx = notifyingContext{ctx, sync.OnceFunc(func() { close(waiting) })}
	go func() { ended <- h.Reload(ctx) }()
	select {
	case <-waiting:
	case err := <-ended:
		require.FailNow(h.t, "Reload did not wait", err)
	}
	return func() error {
		h.t.Helper()
		return <-ended
	}
}

// notifyingContext is a context that reports that a goroutine waits for its end.
type notifyingContext struct {
	context.Context
	waitedFor func()
}

func (c notifyingContext) Done() <-chan struct{} {
	c.waitedFor()
	return c.Context.Done()
}
