package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
)

// watchedFrame is what the tests need of what the page shows.
type watchedFrame struct {
	Now     int64
	Address string
	Policy  string
	Waiting int
	Reload  string
	Workers []struct {
		ID, Pid  int
		State    string
		Pending  *int
		Accepted *int
		Frozen   bool
	}
	Visitors struct{ Present int }
	Totals   struct {
		Answered int
		Failed   []int
		Returned int
	}
	Kills *struct {
		Done, Of int
		Running  bool
	}
	Log []string
}

// watcher is a cluster with its page.
type watcher struct {
	*clitest.Running
	t   *testing.T
	url string
}

// startWatched starts a cluster of n workers with its page. worker is what they run, or "" for this
// program.
func startWatched(t *testing.T, worker string, n int, flags ...string) *watcher {
	t.Helper()
	flags = append([]string{"-watch=127.0.0.1:0", "-n", fmt.Sprint(n)}, flags...)
	r := clitest.LaunchCommand(t, clitest.Command(t, commandLine(t, worker, flags...)...))
	w := &watcher{Running: r, t: t, url: "http://" + r.Address} // which is printed first
	w.await(func(f watchedFrame) bool { return f.listening() == n })
	return w
}

// stream opens a stream of frames, which the caller ends.
func (w *watcher) stream() (frames *bufio.Scanner, end func()) {
	w.t.Helper()
	response, err := http.Get(w.url + "/frames")
	require.NoError(w.t, err)
	require.Equal(w.t, http.StatusOK, response.StatusCode)
	frames = bufio.NewScanner(response.Body)
	frames.Buffer(nil, 1<<20)
	return frames, func() { response.Body.Close() }
}

// next returns the next frame.
func (w *watcher) next(frames *bufio.Scanner) (f watchedFrame) {
	w.t.Helper()
	for frames.Scan() {
		if text, is := strings.CutPrefix(frames.Text(), "data: "); is {
			require.NoError(w.t, json.Unmarshal([]byte(text), &f))
			return f
		}
	}
	require.FailNow(w.t, "the stream has ended", "%v", frames.Err())
	return f
}

// await reads frames until one is as wanted: frames of a new stream, because others may be old.
func (w *watcher) await(wanted func(watchedFrame) bool) watchedFrame {
	w.t.Helper()
	frames, end := w.stream()
	defer end()
	for {
		if f := w.next(frames); wanted(f) {
			return f
		}
	}
}

// now returns a frame.
func (w *watcher) now() watchedFrame {
	w.t.Helper()
	return w.await(func(watchedFrame) bool { return true })
}

// do does what a button asks for.
func (w *watcher) do(action string) {
	w.t.Helper()
	require.Equal(w.t, http.StatusNoContent, w.ask(action), action)
}

func (w *watcher) ask(action string, header ...string) (status int) {
	w.t.Helper()
	r, err := http.NewRequest(http.MethodPost, w.url+"/"+action, nil)
	require.NoError(w.t, err)
	if len(header) > 0 {
		r.Header.Set(header[0], header[1])
	}
	response, err := http.DefaultClient.Do(r)
	require.NoError(w.t, err)
	response.Body.Close()
	return response.StatusCode
}

func (f watchedFrame) listening() (n int) {
	for _, w := range f.Workers {
		if w.State == "listening" {
			n++
		}
	}
	return n
}

func (f watchedFrame) pids() (pids []int) {
	for _, w := range f.Workers {
		pids = append(pids, w.Pid)
	}
	slices.Sort(pids)
	return pids
}

func (f watchedFrame) lost() (n int) {
	for _, failed := range f.Totals.Failed {
		n += failed
	}
	return n
}

// A connection that a frozen worker has not accepted must come back when it is killed, and be answered.
func TestWatchFreezeAndKill(t *testing.T) {
	clitest.Each(t, nodeWorker, func(t *testing.T, worker string) {
		w := startWatched(t, worker, 2)
		w.do("rate?to=0")
		f := w.await(func(f watchedFrame) bool { return f.Visitors.Present == 0 })
		w.do(fmt.Sprintf("freeze?worker=%d", f.Workers[0].ID))
		clitest.RequireStopped(t, f.Workers[0].Pid)
		for frozen := false; !frozen; {
			w.do("visit")
			w.await(func(f watchedFrame) bool {
				frozen = f.Workers[0].Frozen
				return frozen || f.Visitors.Present == 0
			})
		}
		before := w.now()
		w.do(fmt.Sprintf("kill?worker=%d", f.Workers[0].ID))
		after := w.await(func(f watchedFrame) bool { return f.Visitors.Present == 0 && f.listening() == 2 })
		require.Equal(t, before.Totals.Answered+1, after.Totals.Answered)
		require.Equal(t, 1, after.Totals.Returned)
		require.Zero(t, after.lost())
		require.NotContains(t, after.pids(), f.Workers[0].Pid)
		require.Contains(t, strings.Join(after.Log, "\n"), fmt.Sprintf("$ kill -9 %d", f.Workers[0].Pid))
	})
}

// A reload must replace all workers and lose nothing; to a broken program, it must change nothing.
func TestWatchReload(t *testing.T) {
	t.Parallel()
	w := startWatched(t, "", 2)
	before := w.now()
	w.do("broken")
	after := w.await(func(f watchedFrame) bool { return f.Reload == "failed" && len(f.Workers) == 2 })
	require.Equal(t, before.pids(), after.pids())
	w.do("reload")
	after = w.await(func(f watchedFrame) bool { return f.Reload == "done" && f.listening() == 2 && len(f.Workers) == 2 })
	for _, pid := range before.pids() {
		require.NotContains(t, after.pids(), pid)
	}
	require.Zero(t, after.lost())
	w.do("more")
	w.await(func(f watchedFrame) bool { return f.listening() == 3 })
	w.do("fewer")
	after = w.await(func(f watchedFrame) bool { return len(f.Workers) == 2 })
	require.Zero(t, after.lost())
	require.Positive(t, after.Totals.Answered)
}

// With another policy, the cluster must be started again at the same address, and no visitor may
// notice. With none, the kernel gives connections to the workers.
func TestWatchPolicy(t *testing.T) {
	t.Parallel()
	w := startWatched(t, "", 2)
	before := w.now()
	for _, policy := range []string{"none", "sticky", "rr"} {
		w.do("policy?to=" + policy)
		require.Equal(t, http.StatusConflict, w.ask("policy?to="+policy), "it is being started")
		reached := w.await(func(f watchedFrame) bool { return f.Policy == policy && f.listening() == 2 })
		after := w.await(func(f watchedFrame) bool { return f.Totals.Answered > reached.Totals.Answered })
		require.Equal(t, before.Address, after.Address)
		require.Zero(t, after.lost())
		require.Equal(t, policy == "none", after.Workers[0].Pending == nil)
	}
}

// The series must kill as many workers as it says, and what is lost must have been accepted.
func TestWatchKills(t *testing.T) {
	t.Parallel()
	w := startWatched(t, "", 2)
	w.do("slow?to=true")
	w.do("kills?of=10")
	require.Equal(t, http.StatusConflict, w.ask("kills?of=10"))
	f := w.await(func(f watchedFrame) bool { return f.Kills != nil && !f.Kills.Running })
	require.Equal(t, []int{10, 10}, []int{f.Kills.Done, f.Kills.Of})
	require.Equal(t, []int{0, 0}, f.Totals.Failed[:2])
}

// Every browser must see the same, and too many must be told to wait. What is hostile must change
// nothing, and a browser that does not read must hold up no other.
func TestWatchManyBrowsers(t *testing.T) {
	t.Parallel()
	w := startWatched(t, "", 2)
	silent, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	require.NoError(t, err)
	defer silent.Close()
	_, err = fmt.Fprintf(silent, "GET /frames HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
	require.NoError(t, err)
	one := make([]byte, 1)
	_, err = silent.Read(one) // it has its place, and reads no more
	require.NoError(t, err)

	const most = 64
	streams := make([]*bufio.Scanner, most-1)
	for i := range streams {
		var end func()
		streams[i], end = w.stream()
		defer end()
	}
	response, err := http.Get(w.url + "/frames")
	require.NoError(t, err)
	response.Body.Close()
	require.Equal(t, http.StatusServiceUnavailable, response.StatusCode)
	require.Equal(t, "5", response.Header.Get("Retry-After"))

	latest := w.next(streams[len(streams)-1])
	seen := make([]watchedFrame, len(streams))
	var reading sync.WaitGroup
	for i, stream := range streams {
		reading.Go(func() {
			for seen[i].Now < latest.Now+300 {
				seen[i] = w.next(stream)
			}
		})
	}
	reading.Wait()
	for _, f := range seen {
		require.Equal(t, seen[0], f)
	}
	pid := seen[0].Workers[0].Pid
	for _, header := range [][]string{{"Origin", "http://evil.example"}, {"Sec-Fetch-Site", "cross-site"}} {
		require.Equal(t, http.StatusForbidden, w.ask("kill?worker=1", header...))
	}
	require.Contains(t, w.next(streams[0]).pids(), pid)
}

// Ctrl-C must end the cluster and its page, also while a browser is watching and a worker is frozen.
func TestWatchEnds(t *testing.T) {
	t.Parallel()
	w := startWatched(t, "", 2, "-drain", "100ms")
	frames, end := w.stream()
	defer end()
	f := w.next(frames)
	w.do("broken")
	w.do(fmt.Sprintf("freeze?worker=%d", f.Workers[1].ID))
	require.NoError(t, w.Process.Signal(syscall.SIGINT))
	w.RequireSuccess()
	for frames.Scan() { // until the end
	}
}
