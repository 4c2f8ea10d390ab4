package cluster

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
)

func TestMain(m *testing.M) {
	clitest.Main(m, func() {
		if err := roles[os.Args[1]](os.Args[2:]...); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	})
}

// roles are what this test binary does as a worker.
var roles = map[string]func(args ...string) error{
	"http": func(args ...string) error {
		l, err := Listen(args[0], args[1])
		if err != nil {
			return err
		}
		fmt.Println("address", l.Addr())
		return Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "worker %d", os.Getpid())
		}))
	},
}

// goHTTP and nodeHTTP run workers that answer with their pid, on any free port of
// loopback.
var (
	goHTTP   = []string{"go", "http", "tcp", "127.0.0.1:0"}
	nodeHTTP = []string{"node", "testdata/http.js", "127.0.0.1:0"}
)

// nodePolicies are the policies that Node has.
var nodePolicies = []Policy{RoundRobin, None}

// harness is a primary in this process, its workers, and what they have reported.
type harness struct {
	*Primary
	t        *testing.T
	env      []string // of the workers
	mu       sync.Mutex
	changed  sync.Cond
	received []Event // events that were not awaited yet
	printed  string  // output of the workers that was not awaited yet
	closed   bool    // no more events come
}

// startPrimary sets up a primary for workers that run words. The word go stands for this
// test binary, and the word after it is a role. No worker is killed for being slow, unless
// the settings say so.
func startPrimary(t *testing.T, s Settings, words ...string) *harness {
	t.Helper()
	self := clitest.Command(t, clitest.Self(t)) // its clean-up comes last
	h := &harness{t: t, env: self.Env}
	h.changed.L = &h.mu
	s.AcceptTimeout = cmp.Or(s.AcceptTimeout, clitest.Never)
	s.QueueTimeout = cmp.Or(s.QueueTimeout, clitest.Never)
	s.ReadyTimeout = cmp.Or(s.ReadyTimeout, clitest.Never)
	s.ExitTimeout = cmp.Or(s.ExitTimeout, clitest.Never)
	if s.Command == nil {
		s.Command = func(_, _ int) *exec.Cmd { return h.workerCommand(words...) }
	}
	var err error
	h.Primary, err = SetupPrimary(s)
	require.NoError(t, err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		h.followEvents()
	}()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background()) // t.Context has ended
		defer clitest.AtDeadline(t, cancel).Stop()
		require.NoError(t, h.Shutdown(ctx))
		<-ended
	})
	return h
}

// startChanging is startPrimary for workers that run words, until setCommand says what
// later workers run.
func startChanging(t *testing.T, s Settings, words ...string) (h *harness, setCommand func(words ...string)) {
	t.Helper()
	var mu sync.Mutex
	s.Command = func(_, _ int) *exec.Cmd {
		mu.Lock()
		defer mu.Unlock()
		return h.workerCommand(words...)
	}
	h = startPrimary(t, s)
	return h, func(others ...string) {
		mu.Lock()
		defer mu.Unlock()
		words = others
	}
}

func (h *harness) followEvents() {
	for e := range h.Events() {
		h.receive(e)
	}
	h.close()
}

func (h *harness) receive(e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.received = append(h.received, e)
	h.changed.Broadcast()
}

func (h *harness) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	h.changed.Broadcast()
}

// workerCommand returns a worker's command.
func (h *harness) workerCommand(words ...string) *exec.Cmd {
	if words[0] == "go" {
		path, _ := os.Executable()
		words = slices.Concat([]string{path}, words[1:])
	}
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Env, cmd.Stdout = h.env, h
	return cmd
}

// Write receives what workers print.
func (h *harness) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.printed += string(p)
	h.changed.Broadcast()
	return len(p), nil
}

// awaitLine waits for a line that a worker prints, and returns its first parenthesized
// part, or all of it. A line counts once, and the order does not matter.
func (h *harness) awaitLine(pattern string) (found string) {
	h.t.Helper()
	matching := regexp.MustCompile(`(?m)^` + pattern + `\n`)
	h.wait("no line "+pattern, func() bool {
		at := matching.FindStringSubmatchIndex(h.printed)
		if at == nil {
			return false
		}
		last := len(at) - 2
		found = strings.TrimSpace(h.printed[at[last]:at[last+1]])
		h.printed = h.printed[:at[0]] + h.printed[at[1]:]
		return true
	})
	return found
}

// wait waits until done, which is called again after each change.
func (h *harness) wait(failure string, done func() bool) {
	h.t.Helper()
	timedOut := false
	watchdog := clitest.AtDeadline(h.t, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		timedOut = true
		h.changed.Broadcast()
	})
	defer watchdog.Stop()
	h.mu.Lock()
	defer h.mu.Unlock()
	for !done() {
		if timedOut || h.closed {
			require.FailNow(h.t, failure, "events: %v\nprinted: %s", h.received, h.printed)
		}
		h.changed.Wait()
	}
}

// await waits for an event of a type that matches. An event counts once, and the order
// does not matter.
func await[E Event](h *harness, matches func(E) bool) (found E) {
	h.t.Helper()
	h.wait(fmt.Sprintf("no %T", found), func() bool {
		i := slices.IndexFunc(h.received, func(e Event) bool {
			event, ok := e.(E)
			if ok && matches(event) {
				found = event
			}
			return ok && matches(event)
		})
		if i < 0 {
			return false
		}
		h.received = slices.Delete(h.received, i, i+1)
		return true
	})
	return found
}

// received returns the events of a type that were not awaited, in order.
func received[E Event](h *harness) (found []E) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.received {
		if e, ok := e.(E); ok {
			found = append(found, e)
		}
	}
	return found
}

// exitOf waits for the exit of a worker.
func (h *harness) exitOf(w *Worker) Exit {
	h.t.Helper()
	return await(h, func(e Exit) bool { return e.Worker == w })
}

// listeningOf waits until a worker listens, once more, and returns the address.
func (h *harness) listeningOf(w *Worker) string {
	h.t.Helper()
	return await(h, func(e Listening) bool { return e.Worker == w }).Address
}

// fork starts n workers, waits until they listen, and returns the last worker's address.
func (h *harness) fork(n int) (workers []*Worker, address string) {
	h.t.Helper()
	for range n {
		w, err := h.Fork()
		require.NoError(h.t, err)
		workers = append(workers, w)
	}
	for _, w := range workers {
		address = h.listeningOf(w)
	}
	return workers, address
}

// ids returns the IDs of the workers that run.
func (h *harness) ids() []int { return idsOf(h.Workers()) }

func idsOf(workers []*Worker) (ids []int) {
	for _, w := range workers {
		ids = append(ids, w.ID())
	}
	return ids
}

// eachWorker runs a test with Go workers and with Node workers.
func eachWorker(t *testing.T, test func(t *testing.T, worker []string)) {
	clitest.Each(t, "node", func(t *testing.T, worker string) {
		if worker == "" {
			test(t, goHTTP)
		} else {
			test(t, nodeHTTP)
		}
	})
}

// eachNodePolicy runs a test that needs Node with each policy that Node has.
func eachNodePolicy(t *testing.T, test func(t *testing.T, policy Policy)) {
	clitest.NeedNode(t)
	t.Parallel()
	for _, policy := range nodePolicies {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			test(t, policy)
		})
	}
}
