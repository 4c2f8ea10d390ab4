package cluster

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
)

// All of 127.0.0.0/8 is this computer, on Linux: it can be many clients.

// getAs is get for a client with this address.
func getAs(t *testing.T, client netip.Addr, address string) string {
	t.Helper()
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(client, 0))}
	conn, err := dialer.Dial("tcp", address)
	require.NoError(t, err)
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	require.NoError(t, askFor(conn))
	return body(t, conn)
}

// meet lets each client come three times, in mixed order and side by side, and returns
// whom it has stats. Each must meet one worker only.
func meet(t *testing.T, address string, clients []netip.Addr) (stats map[netip.Addr]string) {
	t.Helper()
	visits := slices.Repeat(clients, 3)
	rand.Shuffle(len(visits), func(i, j int) { visits[i], visits[j] = visits[j], visits[i] })
	stats = map[netip.Addr]string{}
	strayed := map[netip.Addr]string{}
	var mu sync.Mutex
	var done sync.WaitGroup
	for some := range slices.Chunk(visits, len(visits)/10) {
		done.Go(func() {
			for _, client := range some {
				who := getAs(t, client, address)
				mu.Lock()
				if before, ok := stats[client]; ok && who != before {
					strayed[client] = who
				}
				stats[client] = who
				mu.Unlock()
			}
		})
	}
	done.Wait()
	require.Empty(t, strayed, "they have stats another, too")
	return stats
}

// requireSpread requires that nobody has less than four fifths of a fair share.
func requireSpread(t *testing.T, when string, stats map[netip.Addr]string, workers []*Worker) {
	t.Helper()
	var shares []int
	for _, w := range workers {
		share := 0
		for _, who := range stats {
			if who == name(w) {
				share++
			}
		}
		shares = append(shares, share)
	}
	t.Logf("%s: the clients of each worker, of %d: %v", when, len(stats), shares)
	for _, share := range shares {
		require.GreaterOrEqual(t, share, len(stats)/len(workers)*4/5)
	}
}

// Each client meets one worker, as long as that is there, and then one other. Whoever
// goes or comes, nobody else has to move.
func TestStickyClients(t *testing.T) {
	clients := make([]netip.Addr, clitest.Times(200, 1000))
	for i := range clients {
		clients[i] = netip.AddrFrom4([4]byte{127, 1, byte(i / 250), byte(1 + i%250)})
	}
	each(t, func(t *testing.T, worker []string) {
		for how, end := range map[string]func(r *harness, w *Worker) (next []*Worker){
			"leaves": func(_ *harness, w *Worker) []*Worker {
				w.Leave()
				return nil
			},
			"is replaced": func(r *harness, w *Worker) []*Worker {
				w.Signal(syscall.SIGKILL)
				r.exitOf(w)
				return []*Worker{await(r, func(Listening) bool { return true }).Worker}
			},
		} {
			t.Run(how, func(t *testing.T) {
				r := startPrimary(t, Settings{Policy: Sticky}, worker...)
				workers, address := r.fork(4)
				before := meet(t, address, clients)
				requireSpread(t, "at first", before, workers)
				gone := workers[1]
				workers = append(slices.Delete(workers, 1, 2), end(r, gone)...)
				after := meet(t, address, clients)
				requireSpread(t, "after one "+how, after, workers)
				for client, who := range before {
					if who == name(gone) {
						require.NotEqual(t, who, after[client])
					} else {
						require.Equal(t, who, after[client])
					}
				}
			})
		}
	})
}

// A worker that hangs holds up its own clients only, and at its end another serves them.
func TestStickyFrozen(t *testing.T) {
	each(t, func(t *testing.T, worker []string) {
		r := startPrimary(t, Settings{Policy: Sticky}, worker...)
		workers, address := r.fork(2)
		i := slices.IndexFunc(workers, func(w *Worker) bool { return name(w) == get(t, "tcp", address) })
		its, other := workers[i], workers[1-i]
		neighbour := netip.MustParseAddr("127.0.0.2")
		for range 3 { // two of them may have the same bucket
			if getAs(t, neighbour, address) != name(other) {
				neighbour = neighbour.Next()
			}
		}
		given := freeze(t, r, its, address)
		waits := dial(t, "tcp", address)
		require.NoError(t, askFor(waits))
		require.Equal(t, name(other), getAs(t, neighbour, address))
		its.Signal(syscall.SIGKILL)
		require.Equal(t, name(other), body(t, given))
		require.Equal(t, name(other), body(t, waits))
		require.Equal(t, 1, r.exitOf(its).Returned)
	})
}
