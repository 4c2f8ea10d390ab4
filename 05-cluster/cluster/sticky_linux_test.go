package cluster

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
)

// On Linux, all of 127.0.0.0/8 is this computer: it can be many clients.

// getFrom is get for a client with this address.
func getFrom(t *testing.T, client netip.Addr, address string) string {
	t.Helper()
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(client, 0))}
	conn, err := dialer.Dial("tcp", address)
	require.NoError(t, err)
	defer conn.Close()
	conn.SetDeadline(clitest.Deadline(t))
	require.NoError(t, sendRequest(conn))
	return body(t, conn)
}

// getFromEach makes three requests for each client, in random order and side by side, and
// returns which worker has answered. For each client it must be one worker.
func getFromEach(t *testing.T, address string, clients []netip.Addr) (workers map[netip.Addr]string) {
	t.Helper()
	requests := slices.Repeat(clients, 3)
	rand.Shuffle(len(requests), func(i, j int) { requests[i], requests[j] = requests[j], requests[i] })
	workers = map[netip.Addr]string{}
	moved := map[netip.Addr]string{}
	var mu sync.Mutex
	var done sync.WaitGroup
	for some := range slices.Chunk(requests, len(requests)/10) {
		done.Go(func() {
			for _, client := range some {
				worker := getFrom(t, client, address)
				mu.Lock()
				if before, ok := workers[client]; ok && worker != before {
					moved[client] = worker
				}
				workers[client] = worker
				mu.Unlock()
			}
		})
	}
	done.Wait()
	require.Empty(t, moved, "these clients got another worker, too")
	return workers
}

// requireEvenSpread requires that each worker has at least four fifths of an even share.
func requireEvenSpread(t *testing.T, when string, answers map[netip.Addr]string, workers []*Worker) {
	t.Helper()
	var shares []int
	for _, w := range workers {
		share := 0
		for _, worker := range answers {
			if worker == w.String() {
				share++
			}
		}
		shares = append(shares, share)
	}
	t.Logf("%s: the clients of each worker, of %d: %v", when, len(answers), shares)
	for _, share := range shares {
		require.GreaterOrEqual(t, share, len(answers)/len(workers)*4/5)
	}
}

// Each client must get one worker as long as that worker runs, and then one other. No
// other client may move when a worker leaves or joins.
func TestStickyClients(t *testing.T) {
	clients := make([]netip.Addr, clitest.Times(80, 1000))
	for i := range clients {
		clients[i] = netip.AddrFrom4([4]byte{127, 1, byte(i / 250), byte(1 + i%250)})
	}
	eachWorker(t, func(t *testing.T, words []string) {
		for how, end := range map[string]func(h *harness, w *Worker) (next []*Worker){
			"leaves": func(_ *harness, w *Worker) []*Worker {
				w.Leave()
				return nil
			},
			"is replaced": func(h *harness, w *Worker) []*Worker {
				w.Signal(syscall.SIGKILL)
				h.exitOf(w)
				return []*Worker{await(h, func(Listening) bool { return true }).Worker}
			},
		} {
			t.Run(how, func(t *testing.T) {
				h := startPrimary(t, Settings{Policy: Sticky}, words...)
				workers, address := h.fork(4)
				before := getFromEach(t, address, clients)
				requireEvenSpread(t, "at first", before, workers)
				gone := workers[1]
				workers = append(slices.Delete(workers, 1, 2), end(h, gone)...)
				after := getFromEach(t, address, clients)
				requireEvenSpread(t, "after a worker "+how, after, workers)
				for client, worker := range before {
					if worker == gone.String() {
						require.NotEqual(t, worker, after[client])
					} else {
						require.Equal(t, worker, after[client])
					}
				}
			})
		}
	})
}

// A frozen worker must delay its own clients only, and after its end another worker
// serves them.
func TestStickyFrozen(t *testing.T) {
	eachWorker(t, func(t *testing.T, worker []string) {
		h := startPrimary(t, Settings{Policy: Sticky}, worker...)
		workers, address := h.fork(2)
		i := slices.IndexFunc(workers, func(w *Worker) bool { return w.String() == get(t, "tcp", address) })
		frozen, other := workers[i], workers[1-i]
		neighbour := netip.MustParseAddr("127.0.0.2")
		for range 3 { // two of them may have the same bucket
			if getFrom(t, neighbour, address) != other.String() {
				neighbour = neighbour.Next()
			}
		}
		given := freeze(t, h, frozen, address)
		waiting := dial(t, "tcp", address)
		require.NoError(t, sendRequest(waiting))
		require.Equal(t, other.String(), getFrom(t, neighbour, address))
		frozen.Signal(syscall.SIGKILL)
		require.Equal(t, other.String(), body(t, given))
		require.Equal(t, other.String(), body(t, waiting))
		require.Equal(t, 1, h.exitOf(frozen).Returned)
	})
}
