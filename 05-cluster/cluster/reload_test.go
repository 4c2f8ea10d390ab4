package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
	"playing-with-processes/internal/demo"
	"playing-with-processes/internal/ipc"
	"playing-with-processes/internal/restart"
)

// A reload must replace all workers, one at a time: the new worker listens before an old
// one is asked to leave, and that has exited before the next worker is started.
func TestReload(t *testing.T) {
	eachWorker(t, func(t *testing.T, worker []string) {
		const n = 3
		var mu sync.Mutex
		var sent []string
		h := startPrimary(t, Settings{Trace: func(w int, e ipc.Event) {
			var m message
			json.Unmarshal(e.Line, &m)
			if step := e.What + " " + m.Act; step == "receive listening" || step == "send disconnect" {
				mu.Lock()
				defer mu.Unlock()
				sent = append(sent, fmt.Sprintf("%d %s", w, m.Act))
			}
		}}, worker...)
		_, address := h.fork(n)
		begun := time.Now()
		require.NoError(t, h.Reload(t.Context()))
		reloaded := await(h, func(Reloaded) bool { return true })
		h.requireStatus(n, doneReload(n), allListening(n)...)
		status := *h.Status().Reload
		require.Equal(t, Reloaded{Replaced: n, Took: reloaded.Took}, reloaded)
		require.InDelta(t, reloaded.Took.Seconds(), status.Seconds, 1e-6)
		require.WithinRange(t, status.Began.Add(reloaded.Took), begun, time.Now())
		mu.Lock()
		defer mu.Unlock()
		require.Empty(t, cmp.Diff([]string{
			"4 listening", "1 disconnect", "5 listening", "2 disconnect", "6 listening", "3 disconnect",
		}, sent[n:]))
		processes, peak := map[*Worker]bool{}, 0
		for _, e := range received[Event](h) {
			switch e := e.(type) {
			case Forked:
				processes[e.Worker] = true
			case Exit:
				delete(processes, e.Worker)
			}
			peak = max(peak, len(processes))
		}
		require.Equal(t, n+1, peak)
		require.Equal(t, []int{4, 5, 6}, h.ids())
		require.Contains(t, get(t, "tcp", address), "worker")
	})
}

// A program that does not get ready must replace no worker: the error says why, no
// request fails, and the next reload succeeds.
func TestReloadBad(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]struct {
		words []string
		cause string
	}{
		"exits":            {[]string{"go", "fails"}, "was never ready (code 1): no licence"},
		"never listens":    {[]string{"go", "delayed"}, "was never ready (signal killed): not ready within "},
		"is missing":       {[]string{"./missing"}, "./missing: no such file or directory"},
		"leaves by itself": {[]string{"go", "leaves first"}, "has left (code 0)"},
	} {
		t.Run(name, func(t *testing.T) {
			eachWorker(t, func(t *testing.T, worker []string) {
				const n = 2
				timeout := clitest.Never
				if name == "never listens" {
					timeout = enoughToStart(t)
				}
				h, setCommand := startChanging(t, Settings{ReadyTimeout: timeout}, worker...)
				_, address := h.fork(n)
				all := []*demo.Clients{
					demo.Start(t.Context(), demo.Load{Address: address, Clients: 1, Rest: demo.Rest}),
					demo.Start(t.Context(), demo.Load{Address: address, Clients: 1, Rest: demo.Rest, KeepAlive: true}),
				}
				for _, clients := range all {
					<-clients.Firsts
				}
				setCommand(bad.words...)
				err := h.Reload(t.Context())
				require.ErrorContains(t, err, bad.cause)
				h.requireStatus(n, failedReload(0, n, err), allListening(n)...)
				require.Equal(t, []int{1, 2}, h.ids())
				for _, clients := range all {
					before := clients.Snapshot().Requests()
					clitest.Eventually(t, func() bool { return clients.Snapshot().Requests() > before+n })
					stats := clients.Stop()
					require.Empty(t, stats.Failures)
					require.Zero(t, stats.Refused+stats.Hung)
				}
				setCommand(worker...)
				require.NoError(t, h.Reload(t.Context()))
				h.requireStatus(n, doneReload(n), allListening(n)...)
			})
		})
	}
}

// A reload must end a crash loop, even when restarts are suspended.
func TestReloadEndsSuspension(t *testing.T) {
	t.Parallel()
	const n = 2
	policy := restart.Default(0)
	policy.FirstPause, policy.MaxPause, policy.Period = time.Millisecond, time.Hour, time.Hour // no probe
	h, setCommand := startChanging(t, Settings{Restart: &policy}, "go", "fails")
	for range n {
		_, err := h.Fork()
		require.NoError(t, err)
	}
	await(h, func(e Restarts) bool { return e.State == restart.Suspended })
	h.requireStatus(n, nil)
	require.Equal(t, "suspended", h.Status().Restarting)
	err := h.Reload(t.Context())
	require.ErrorContains(t, err, "no licence")
	h.requireStatus(n, failedReload(0, 0, err))
	require.Equal(t, "suspended", h.Status().Restarting)
	setCommand(goHTTP...)
	require.NoError(t, h.Reload(t.Context()))
	h.requireStatus(n, doneReload(n), allListening(n)...)
	require.Equal(t, "on", h.Status().Restarting)
	await(h, func(e Restarts) bool { return e.State == restart.On })
}

// A reload must start the program that is on disk then.
func TestReloadNewScript(t *testing.T) {
	clitest.Each(t, "node", func(t *testing.T, worker string) {
		path := filepath.Join(t.TempDir(), "worker")
		interpreter, replace := "sh", func(version string) {
			script := fmt.Sprintf("VERSION=%s exec '%s' version", version, clitest.Self(t))
			require.NoError(t, os.WriteFile(path+".new", []byte(script), 0o600))
			require.NoError(t, os.Rename(path+".new", path))
		}
		if worker != "" {
			interpreter, replace = "node", func(version string) {
				script := fmt.Sprintf("require('http').createServer((_, r) => r.end('%s')).listen(0, '127.0.0.1')", version)
				require.NoError(t, os.WriteFile(path, []byte(script), 0o600))
			}
		}
		replace("one")
		h := startPrimary(t, Settings{}, interpreter, path)
		_, address := h.fork(2)
		require.Equal(t, "one", get(t, "tcp", address))
		replace("two")
		require.Equal(t, "one", get(t, "tcp", address))
		require.NoError(t, h.Reload(t.Context()))
		for range 4 {
			require.Equal(t, "two", get(t, "tcp", address))
		}
		h.requireStatus(2, doneReload(2), allListening(2)...)
	})
}

// A reload whose context has ended must start nothing.
func TestReloadContextEnded(t *testing.T) {
	t.Parallel()
	h, _ := startChanging(t, Settings{}, goHTTP...)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, h.Reload(ctx), context.Canceled)
	require.Nil(t, h.Status().Reload)
}
