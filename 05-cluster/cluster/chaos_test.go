package cluster

import (
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
	"playing-with-processes/internal/demo"
	"playing-with-processes/internal/supervise"
)

const (
	chaosInterval   = 100 * time.Millisecond
	chaosMaxWorkers = 5
	// The timeouts add up to as much as the defaults. But with those, most workers
	// would be frozen most of the time.
	chaosAccept = 1200 * time.Millisecond
	chaosDrain  = 10*time.Second - chaosAccept
	chaosReady  = 3 * time.Second
)

// Whatever happens to the workers, also while their number is changed and they are
// reloaded: no connection may be refused, no client may wait longer than the timeouts,
// every failure must have its reason, and in the end the right workers must run.
func TestSoakChaos(t *testing.T) {
	clitest.NoLeaks(t)
	for name, worker := range map[string][]string{"Go": goHTTP, "Node": nodeHTTP} {
		t.Run(name, func(t *testing.T) {
			if name == "Node" {
				clitest.NeedNode(t)
				clitest.NeedSoak(t)
			}
			t.Parallel()
			testChaos(t, worker, name == "Node")
		})
	}
}

func testChaos(t *testing.T, worker []string, spareStarting bool) {
	settings := Settings{
		Restart:       restartAtOnce(),
		AcceptTimeout: chaosAccept,
		ReadyTimeout:  chaosReady,
		DrainTimeout:  chaosDrain,
	}
	outcomes := trackOutcomes(&settings)
	h := startPrimary(t, settings, worker...)
	_, address := h.fork(loadWorkers)
	clients := demo.Start(t.Context(), demo.Load{Address: address, Clients: loadClients, Rest: clitest.Rest()})
	c := &chaos{harness: h, spareStarting: spareStarting, counts: map[string]int{}}
	for end := time.Now().Add(time.Duration(clitest.Times(1, 300)) * time.Second); time.Now().Before(end); {
		time.Sleep(chaosInterval)
		c.disturb()
	}
	c.reloads.Wait()
	require.NoError(t, h.Scale(loadWorkers))
	c.awaitRecovery()
	stats := clients.Stop()
	t.Logf("%v: %s", c.counts, outcomes.explain(t, stats))
	if clitest.Soak() { // the machine has nothing else to do
		require.LessOrEqual(t, stats.Longest, chaosAccept+chaosDrain)
	}
}

// chaos disturbs the workers of a harness.
type chaos struct {
	*harness
	// Node starts in some 100 ms, and in more under load. If starting workers were
	// signaled as well, there would be no worker for seconds.
	spareStarting bool
	reloads       sync.WaitGroup
	mu            sync.Mutex
	counts        map[string]int
}

// count counts what was done.
func (c *chaos) count(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[what]++
}

// disturb does one thing at random.
func (c *chaos) disturb() {
	switch rand.N(4) {
	case 0:
		c.signalOne(syscall.SIGKILL)
	case 1:
		c.signalOne(syscall.SIGSTOP)
	case 2:
		c.count("scale")
		require.NoError(c.t, c.Scale(1+rand.N(chaosMaxWorkers)))
	case 3:
		c.count("reload")
		c.reloads.Go(func() {
			if c.Reload(c.t.Context()) == nil {
				c.count("reloaded")
			}
		})
	}
}

// signalOne signals a random worker.
func (c *chaos) signalOne(s syscall.Signal) {
	workers := c.Workers()
	if c.spareStarting {
		workers = slices.DeleteFunc(workers, isStarting)
	}
	if len(workers) > 0 { // or all are being replaced
		c.count(s.String())
		workers[rand.N(len(workers))].Signal(s)
	}
}

// isStarting reports whether a worker does not listen yet.
func isStarting(w *Worker) bool { return w.process.State() < supervise.Serving }

// awaitRecovery waits until the right number of workers run, and each has accepted a
// connection since, which a frozen worker does not.
func (c *chaos) awaitRecovery() {
	c.t.Helper()
	before := map[int]int{}
	clitest.Eventually(c.t, func() bool {
		s := c.QuickStatus()
		return len(s.Workers) == loadWorkers && !slices.ContainsFunc(s.Workers, func(w WorkerStatus) bool {
			if _, known := before[w.ID]; !known {
				before[w.ID] = *w.Accepted
			}
			return w.State != "listening" || *w.Accepted == before[w.ID]
		})
	})
}
