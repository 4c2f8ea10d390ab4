package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
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
	"playing-with-processes/internal/demo"
	"playing-with-processes/internal/ipc"
	"playing-with-processes/internal/restart"
)

// What the operator does: reload and scale. After each of it the status tells the truth.

// raiseChanging is raise for workers that run words, until next says what others run.
func startChanging(t *testing.T, s Settings, words ...string) (r *harness, next func(words ...string)) {
	t.Helper()
	var mu sync.Mutex
	s.Command = func() *exec.Cmd {
		mu.Lock()
		defer mu.Unlock()
		return r.command(words...)
	}
	r = startPrimary(t, s)
	return r, func(others ...string) {
		mu.Lock()
		defer mu.Unlock()
		words = others
	}
}

// shortReady is a ReadyTimeout that a test can wait for. It must still be long enough for
// the start of a worker on a busy machine.
const shortReady = 5 * time.Second

// requireTruth requires that soon the status says what there is: so many places, a
// reload, and the processes that the operating system knows, in these states, oldest
// first.
func (r *harness) requireTruth(size int, reload *ReloadStatus, states ...string) {
	r.t.Helper()
	require.EventuallyWithT(r.t, func(c *assert.CollectT) {
		status, living := r.Status(), r.living()
		var pids []int
		var is []string
		listening := 0
		for _, w := range status.Workers {
			pids, is = append(pids, w.Pid), append(is, w.State)
			if w.State == "listening" {
				listening++
			}
		}
		require.ElementsMatch(c, living, pids)
		require.Equal(c, states, is)
		require.Equal(c, size, status.Size)
		for _, port := range status.Ports {
			require.Equal(c, listening, port.Workers)
		}
		require.Empty(c, cmp.Diff(reload, status.Reload, cmpopts.IgnoreFields(ReloadStatus{}, "Began", "Seconds")))
	}, patience, 2*time.Millisecond)
}

// listening is that all workers do.
func listening(n int) []string { return slices.Repeat([]string{"listening"}, n) }

func running(replaced, left int) *ReloadStatus {
	return &ReloadStatus{State: ReloadRunning, Replaced: replaced, Left: left}
}

func done(replaced int) *ReloadStatus { return &ReloadStatus{State: ReloadDone, Replaced: replaced} }

func failed(replaced, left int, err error) *ReloadStatus {
	return &ReloadStatus{State: ReloadFailed, Replaced: replaced, Left: left, Error: err.Error()}
}

func canceled(replaced, left int, err error) *ReloadStatus {
	return &ReloadStatus{State: ReloadCanceled, Replaced: replaced, Left: left, Error: err.Error()}
}

// living are the pids of this harness's processes, as the operating system says. One other than
// Linux tells only which of those that the primary knows there are.
func (r *harness) living() (pids []int) {
	mark := slices.IndexFunc(r.env, func(v string) bool { return strings.HasPrefix(v, "STARTED_FOR=") })
	if pids, known := clitest.Children(r.env[mark]); known {
		return pids
	}
	for _, w := range r.Workers() {
		if syscall.Kill(w.Pid(), 0) == nil {
			pids = append(pids, w.Pid())
		}
	}
	return pids
}

// ids returns the IDs of the workers that run.
func (r *harness) ids() []int { return idsOf(r.Workers()) }

func idsOf(workers []*Worker) (ids []int) {
	for _, w := range workers {
		ids = append(ids, w.ID())
	}
	return ids
}

// begin begins a reload, and returns when that waits: for a new worker, or for another
// reload. What it returns waits for the end.
func (r *harness) begin(ctx context.Context) (end func() error) {
	r.t.Helper()
	waits, ended := make(chan struct{}), make(chan error, 1)
	ctx = waitedFor{ctx, sync.OnceFunc(func() { close(waits) })}
	go func() { ended <- r.Reload(ctx) }()
	select {
	case <-waits:
	case err := <-ended:
		require.FailNow(r.t, "it did not wait", err)
	}
	return func() error {
		r.t.Helper()
		select {
		case err := <-ended:
			return err
		case <-time.After(patience):
			require.FailNow(r.t, "the reload goes on")
			return nil
		}
	}
}

// waitedFor is a context that tells when somebody waits for its end.
type waitedFor struct {
	context.Context
	told func()
}

func (c waitedFor) Done() <-chan struct{} {
	c.told()
	return c.Context.Done()
}

// late waits for a worker that is online, and listens only when it is told to.
func (r *harness) late() *Worker {
	r.t.Helper()
	pid := r.awaitLine(`late (\d+)`)
	workers := r.Workers()
	return workers[slices.IndexFunc(workers, func(w *Worker) bool { return strconv.Itoa(w.Pid()) == pid })]
}

func (w *Worker) goOn() { w.process.Process.Kill(syscall.SIGUSR1) }

func init() {
	roles["late"] = func(...string) error {
		told := make(chan os.Signal, 1)
		signal.Notify(told, syscall.SIGUSR1)
		if _, err := self(); err != nil {
			return err
		}
		fmt.Println("late", os.Getpid())
		select {
		case <-told:
			return roles["http"]("tcp", "127.0.0.1:0")
		case <-Leaving():
			return nil
		}
	}
	roles["complains"] = func(...string) error { return errors.New("no licence") }
	roles["joins"] = func(...string) error {
		if _, err := joinCluster(); err != nil {
			return err
		}
		return forever()
	}
	roles["leaves first"] = func(...string) error {
		w, err := joinCluster()
		if err != nil {
			return err
		}
		if err := w.tell(message{Cmd: command, Act: actLeave, Seq: 1}); err != nil {
			return err
		}
		_, _, err = w.next() // the answer
		return err
	}
	roles["version"] = func(args ...string) error {
		l, err := Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		return Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, os.Getenv("VERSION"))
		}))
	}
}

// sofar are the events of a type that were not awaited, in order.
func sofar[E Event](r *harness) (found []E) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.news {
		if e, ok := e.(E); ok {
			found = append(found, e)
		}
	}
	return found
}

// A reload replaces all workers, one at a time: the new one listens before an old one is
// asked to leave, and that has gone before the next is started.
func TestReload(t *testing.T) {
	each(t, func(t *testing.T, worker []string) {
		const n = 3
		var mu sync.Mutex
		var said []string
		r := startPrimary(t, Settings{Trace: func(w int, e ipc.Event) {
			var m message
			json.Unmarshal(e.Line, &m)
			if step := e.What + " " + m.Act; step == "receive listening" || step == "send disconnect" {
				mu.Lock()
				defer mu.Unlock()
				said = append(said, fmt.Sprintf("%d %s", w, m.Act))
			}
		}}, worker...)
		_, address := r.fork(n)
		require.NoError(t, r.Reload(t.Context()))
		reloaded := await(r, func(Reloaded) bool { return true })
		r.requireTruth(n, done(n), listening(n)...)
		status := *r.Status().Reload
		require.Equal(t, Reloaded{Replaced: n, Took: reloaded.Took}, reloaded)
		require.InDelta(t, reloaded.Took.Seconds(), status.Seconds, 1e-6)
		require.WithinDuration(t, time.Now(), status.Began.Add(reloaded.Took), patience)
		mu.Lock()
		defer mu.Unlock()
		require.Empty(t, cmp.Diff([]string{
			"4 listening", "1 disconnect", "5 listening", "2 disconnect", "6 listening", "3 disconnect",
		}, said[n:]))
		processes, most := map[*Worker]bool{}, 0
		for _, e := range sofar[Event](r) {
			switch e := e.(type) {
			case Forked:
				processes[e.Worker] = true
			case Exit:
				delete(processes, e.Worker)
			}
			most = max(most, len(processes))
		}
		require.Equal(t, n+1, most)
		require.Equal(t, []int{4, 5, 6}, r.ids())
		require.Contains(t, get(t, "tcp", address), "worker")
	})
}

// A program that does not get ready replaces nobody: the error says why, no visitor notices,
// and the next reload is not the worse for it.
func TestReloadBad(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]struct {
		words []string
		ready time.Duration
		cause string
	}{
		"exits":            {words: []string{"go", "complains"}, cause: "worker 4 never ready (code 1): no licence"},
		"never listens":    {[]string{"go", "late"}, shortReady, "worker 4 never ready (signal killed): not ready within 5s"},
		"is no program":    {words: []string{"./nobody"}, cause: "./nobody: no such file or directory"},
		"leaves by itself": {words: []string{"go", "leaves first"}, cause: "worker 4 has left (code 0)"},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, worker []string) {
				const n = 3
				r, next := startChanging(t, Settings{ReadyTimeout: bad.ready}, worker...)
				_, address := r.fork(n)
				all := []*demo.Clients{
					demo.Start(t.Context(), demo.Load{Address: address, Clients: 2, Rest: time.Millisecond}),
					demo.Start(t.Context(), demo.Load{Address: address, Clients: 2, Rest: time.Millisecond, KeepAlive: true}),
				}
				for _, clients := range all {
					<-clients.Firsts
				}
				next(bad.words...)
				err := r.Reload(t.Context())
				require.ErrorContains(t, err, bad.cause)
				r.requireTruth(n, failed(0, n, err), listening(n)...)
				require.Equal(t, []int{1, 2, 3}, r.ids())
				for _, clients := range all {
					before := clients.Snapshot().Requests()
					require.Eventually(t, func() bool { return clients.Snapshot().Requests() > before+n }, patience, time.Millisecond)
					stats := clients.Stop()
					require.Empty(t, stats.Failures)
					require.Zero(t, stats.Refused+stats.Hung)
				}
				next(worker...)
				require.NoError(t, r.Reload(t.Context()))
				r.requireTruth(n, done(n), listening(n)...)
			})
		})
	}
}

// A reload mends a crash loop, also when restarts are suspended.
func TestReloadMends(t *testing.T) {
	t.Parallel()
	const n = 2
	policy := restart.Default(0)
	policy.FirstPause, policy.MaxPause, policy.Period = time.Millisecond, time.Hour, time.Hour // no trial start
	r, next := startChanging(t, Settings{Restart: &policy}, "go", "complains")
	for range n {
		_, err := r.Fork()
		require.NoError(t, err)
	}
	await(r, func(e Restarts) bool { return e.State == restart.Suspended })
	r.requireTruth(n, nil)
	require.Equal(t, "suspended", r.Status().Restarting)
	err := r.Reload(t.Context())
	require.ErrorContains(t, err, "no licence")
	r.requireTruth(n, failed(0, 0, err))
	require.Equal(t, "suspended", r.Status().Restarting)
	next(goHTTP...)
	require.NoError(t, r.Reload(t.Context()))
	r.requireTruth(n, done(n), listening(n)...)
	require.Equal(t, "on", r.Status().Restarting)
	await(r, func(e Restarts) bool { return e.State == restart.On })
}

// What is on disk by then is what a reload starts.
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
		r := startPrimary(t, Settings{}, interpreter, path)
		_, address := r.fork(2)
		require.Equal(t, "one", get(t, "tcp", address))
		replace("two")
		require.Equal(t, "one", get(t, "tcp", address))
		require.NoError(t, r.Reload(t.Context()))
		for range 4 {
			require.Equal(t, "two", get(t, "tcp", address))
		}
		r.requireTruth(2, done(2), listening(2)...)
	})
}

// A worker that does not join the cluster in time is killed. One that has, and does not
// listen, may be there for something else.
func TestReadyTimeout(t *testing.T) {
	t.Parallel()
	r, next := startChanging(t, Settings{ReadyTimeout: shortReady}, "go", "late")
	joined, err := r.Fork()
	require.NoError(t, err)
	r.late()
	next("sleep", "1000")
	var silent []*Worker
	for range 3 {
		w, err := r.Fork()
		require.NoError(t, err)
		silent = append(silent, w)
	}
	for _, w := range silent {
		require.Equal(t, "still starting after 5s", r.exitOf(w).Why)
	}
	require.Contains(t, r.ids(), joined.ID())
}

// What is counted in ticks is not much longer than it shall be, whatever else is counted.
func TestTick(t *testing.T) {
	t.Parallel()
	for _, s := range []Settings{
		{AcceptTimeout: time.Second, QueueTimeout: time.Hour},
		{AcceptTimeout: time.Hour, QueueTimeout: time.Second},
	} {
		require.Equal(t, time.Second/10, s.tick())
	}
}
