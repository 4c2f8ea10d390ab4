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
	chaosBeat = 100 * time.Millisecond
	chaosMost = 5 // workers
	// The deadlines come to as much as the usual ones. But with those most workers would
	// be frozen most of the time.
	chaosAccept = 1200 * time.Millisecond
	chaosDrain  = 10*time.Second - chaosAccept
	chaosReady  = 3 * time.Second
)

// Whatever happens to the workers, and whoever asks for another number of them or for new
// ones meanwhile: nobody is refused, nobody waits longer than the deadlines, every failure
// has its reason, and in the end there is nothing too many.
func TestSoakChaos(t *testing.T) {
	clitest.NoLeaks(t)
	for name, worker := range map[string][]string{"Go": goHTTP, "Node": nodeHTTP} {
		t.Run(name, func(t *testing.T) {
			if name == "Node" {
				clitest.NeedNode(t)
			}
			t.Parallel()
			testChaos(t, worker, name == "Node")
		})
	}
}

func testChaos(t *testing.T, worker []string, slow bool) {
	policy := patient()
	settings := Settings{Restart: &policy, AcceptTimeout: chaosAccept, ReadyTimeout: chaosReady, DrainTimeout: chaosDrain}
	fates := followFates(&settings)
	r := startPrimary(t, settings, worker...)
	_, address := r.fork(loadWorkers)
	clients := demo.Start(t.Context(), demo.Load{Address: address, Clients: loadClients})
	c := &chaos{harness: r, slow: slow, did: map[string]int{}}
	for end := time.Now().Add(time.Duration(clitest.Times(6, 300)) * time.Second); time.Now().Before(end); {
		time.Sleep(chaosBeat)
		c.strike()
	}
	c.reloads.Wait()
	require.NoError(t, r.Scale(loadWorkers))
	c.calm()
	stats := clients.Stop()
	t.Logf("%v: %s", c.did, fates.explain(t, stats))
	require.LessOrEqual(t, stats.Longest, chaosAccept+chaosDrain)
}

// chaos is what happens to a harness.
type chaos struct {
	*harness
	// Node starts in some 100 ms, and longer under load: who strikes at the beginners, too,
	// every 100 ms, sees to it that nobody is there for seconds.
	slow    bool
	reloads sync.WaitGroup
	mu      sync.Mutex
	did     map[string]int
}

func (c *chaos) note(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.did[what]++
}

// strike does one thing.
func (c *chaos) strike() {
	switch rand.N(4) {
	case 0:
		c.strikeOne(syscall.SIGKILL)
	case 1:
		c.strikeOne(syscall.SIGSTOP)
	case 2:
		c.note("scale")
		require.NoError(c.t, c.Scale(1+rand.N(chaosMost)))
	case 3:
		c.note("reload")
		c.reloads.Go(func() {
			if c.Reload(c.t.Context()) == nil {
				c.note("reloaded")
			}
		})
	}
}

// strikeOne signals a worker, whatever it is doing.
func (c *chaos) strikeOne(s syscall.Signal) {
	workers := c.Workers()
	if c.slow {
		workers = slices.DeleteFunc(workers, beginner)
	}
	if len(workers) > 0 { // else all are being replaced
		c.note(s.String())
		workers[rand.N(len(workers))].Signal(s)
	}
}

// beginner reports whether a worker does not listen yet.
func beginner(w *Worker) bool { return w.process.State() < supervise.Serving }

// calm waits until those who are to be there are, nobody else is, and each has served
// since: who is frozen does not.
func (c *chaos) calm() {
	c.t.Helper()
	before := map[int]int{}
	require.Eventually(c.t, func() bool {
		s := c.status()
		return len(s.Workers) == loadWorkers && !slices.ContainsFunc(s.Workers, func(w WorkerStatus) bool {
			if _, known := before[w.ID]; !known {
				before[w.ID] = *w.Accepted
			}
			return w.State != "listening" || *w.Accepted == before[w.ID]
		})
	}, patience, chaosBeat)
}
