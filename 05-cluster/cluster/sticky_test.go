package cluster

import (
	"hash/maphash"
	"io"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// stickyBench is a bench with two idle workers. Who comes by a pipe has another bucket than
// who comes by TCP.
func fakeSticky(t *testing.T) (p *Primary, a, b *Worker, d *dispatcher, s *sticky) {
	t.Helper()
	p = fakePrimary(t)
	p.settings.Policy = Sticky
	a, d = p.addWorker(t)
	b, _ = p.addWorker(t)
	s = d.picker.(*sticky)
	same := func() bool { return s.bucketOf(netip.MustParseAddr("127.0.0.1")) == s.bucketOf(netip.Addr{}) }
	for range 3 { // one seed in 65536 is not right
		if same() {
			s.seed = maphash.MakeSeed()
		}
	}
	require.False(t, same())
	return p, a, b, d, s
}

// comeFrom is somebody from this bucket.
func comeFrom(t *testing.T, d *dispatcher, h bucket) *os.File {
	t.Helper()
	conn, other, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close(); other.Close() })
	d.push(conn)
	s := d.picker.(*sticky)
	s.queue[len(s.queue)-1].bucket = h
	d.dispatch()
	return conn
}

// knock connects, and returns when that can be taken from the kernel's queue.
func knock(t *testing.T, d *dispatcher) net.Conn {
	t.Helper()
	conn := dial(t, "tcp", d.port.address)
	d.socket.raw.Control(func(fd uintptr) {
		for err := error(unix.EINTR); err == unix.EINTR; {
			_, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(patience.Milliseconds()))
		}
	})
	return conn
}

// has is the connection that has been given to a worker, and its number, or nil.
func has(w *Worker) (conn *os.File, seq int64) {
	if seq = given(w); seq < 0 {
		return nil, seq
	}
	return w.pending[seq].conn, seq
}

// soon lets the goroutines of a bench go on until it is so.
func (p *Primary) soon(t *testing.T, so func() bool) {
	t.Helper()
	p.mu.Unlock()
	defer p.mu.Lock()
	require.Eventually(t, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return so()
	}, patience, time.Millisecond)
}

// ownersOf are the numbers of the workers that these buckets belong to.
func (s *sticky) ownersOf(buckets ...bucket) (ids []int) {
	for _, h := range buckets {
		ids = append(ids, s.owner(h).ID())
	}
	return ids
}

// A newcomer is for the worker that has the fewest, and stays with it: who joins takes
// nobody from the others, and only what belonged to one that leaves is spread again.
func TestStickyOwners(t *testing.T) {
	p, _, b, _, s := fakeSticky(t)
	require.Empty(t, cmp.Diff([]int{1, 2, 1, 2, 1}, s.ownersOf(10, 20, 30, 40, 50)))
	require.Empty(t, cmp.Diff([]int{2, 1, 1, 2, 1}, s.ownersOf(20, 10, 50, 40, 30)), "in any order")
	p.addWorker(t)
	require.Empty(t, cmp.Diff([]int{1, 2, 1, 2, 1}, s.ownersOf(10, 20, 30, 40, 50)), "one has joined")
	require.Empty(t, cmp.Diff([]int{3, 3, 2}, s.ownersOf(60, 70, 80)), "newcomers")
	b.leavePorts()
	require.NotContains(t, idsOf(slices.Collect(maps.Keys(s.buckets))), b.ID())
	require.NotContains(t, idsOf(slices.Collect(maps.Values(s.owners))), b.ID())
	require.Empty(t, cmp.Diff([]int{1, 3, 1, 1, 1}, s.ownersOf(10, 20, 30, 40, 50)), "one has left")
	require.Empty(t, cmp.Diff([]int{3, 3, 3}, s.ownersOf(60, 70, 80)))
}

// Who waits for a busy worker does not hold up those of an idle one.
func TestStickyOvertakes(t *testing.T) {
	_, a, b, d, s := fakeSticky(t)
	s.ownersOf(10, 20)
	first := comeFrom(t, d, 10)
	comeFrom(t, d, 10)
	third := comeFrom(t, d, 20)
	conn, _ := has(a)
	require.Same(t, first, conn)
	conn, _ = has(b)
	require.Same(t, third, conn)
	require.Equal(t, 1, d.picker.len())
}

// Those of one worker are served in the order in which they came, whoever else waits.
func TestStickyOrder(t *testing.T) {
	_, a, b, d, s := fakeSticky(t)
	s.ownersOf(10, 20, 30)
	var came []*os.File
	var served []int
	for range 4 {
		came = append(came, comeFrom(t, d, 10), comeFrom(t, d, 30)) // both are of a
		comeFrom(t, d, 20)
	}
	for conn, seq := has(a); conn != nil; conn, seq = has(a) {
		served = append(served, slices.Index(came, conn))
		a.connAnswered(seq, true)
	}
	require.Empty(t, cmp.Diff([]int{0, 1, 2, 3, 4, 5, 6, 7}, served))
	require.Equal(t, 3, d.picker.len(), "those of the other, who has one")
	require.Len(t, b.pending, 1)
}

// Who was refused waits for the same worker, though the other one is idle.
func TestStickyRefused(t *testing.T) {
	_, a, b, d, _ := fakeSticky(t)
	come(t, d)
	want, seq := has(a)
	a.connAnswered(seq, false)
	require.Equal(t, int64(-1), given(b))
	require.Equal(t, 1, d.picker.len())
	d.retry(a)
	conn, _ := has(a)
	require.Same(t, want, conn)
}

// When a worker has gone, those who wait for it are for another, and so is the one whom it
// had not accepted.
func TestStickyReturned(t *testing.T) {
	for how, returns := range map[string]func(d *dispatcher, a *Worker, conn *os.File, seq int64){
		"dead":    func(d *dispatcher, _ *Worker, conn *os.File, _ int64) { d.requeue(conn) },
		"leaving": func(_ *dispatcher, a *Worker, _ *os.File, seq int64) { a.connAnswered(seq, false) },
	} {
		t.Run(how, func(t *testing.T) {
			p, a, b, d, _ := fakeSticky(t)
			come(t, d)
			come(t, d)
			returned, seq := has(a)
			a.leavePorts()
			_, first := has(b)
			require.GreaterOrEqual(t, first, int64(0), "who has waited")
			returns(d, a, returned, seq)
			p.addWorker(t) // another that is idle, and not the owner
			b.connAnswered(first, true)
			conn, _ := has(b)
			require.Same(t, returned, conn)
			require.Equal(t, 1, d.pending)
		})
	}
}

// When too many wait for one worker the first of them goes to another, for once; so nobody
// is held up by it who is for another.
func TestStickyMaxLine(t *testing.T) {
	p, a, b, d, _ := fakeSticky(t)
	p.soon(t, func() bool { return d.waiting })
	for range 1 + maxQueue {
		come(t, d)
	}
	require.Equal(t, maxQueue, d.picker.len())
	require.Equal(t, int64(-1), given(b))
	first := d.picker.(*sticky).queue[0]
	come(t, d)
	require.Equal(t, maxQueue, d.picker.len())
	conn, seq := has(b)
	require.Same(t, first.conn, conn)
	require.Same(t, a, d.picker.(*sticky).owners[first.bucket])
	b.connAnswered(seq, true)
	require.Equal(t, int64(-1), given(b))
	a.connAnswered(given(a), false)
	require.Equal(t, maxQueue, d.picker.len(), "it is full, and one more goes to the other")
	_, seq = has(b)
	b.connAnswered(seq, true)
	own := comeFrom(t, d, first.bucket+1)
	conn, _ = has(b)
	require.Same(t, own, conn)
}

// Who is turned away is told, here as well as in the kernel's queue, and counted.
func TestStickyTurnAway(t *testing.T) {
	p, a, b, d, _ := fakeSticky(t)
	knock(t, d)
	d.dispatch()
	require.GreaterOrEqual(t, given(a), int64(0))
	here := knock(t, d)
	d.dispatch()
	require.Equal(t, 1, d.picker.len())
	come(t, d)
	require.GreaterOrEqual(t, given(b), int64(0))
	kernel := knock(t, d)
	d.dispatch()
	require.Equal(t, 1, d.picker.len(), "nobody is idle")
	d.port.rejectAll()
	require.Zero(t, d.picker.len())
	for _, conn := range []net.Conn{here, kernel} {
		_, err := io.ReadAll(conn)
		require.ErrorIs(t, err, syscall.ECONNRESET)
	}
	require.Equal(t, 2, p.reset)
	require.Equal(t, Rejected{d.port.address, 2}, <-p.Events())
	require.Equal(t, 2, d.pending, "the workers keep what they have")
}

// A client has one address, whether the socket is for both families or not, and over a Unix
// socket none.
func TestStickyClientAddress(t *testing.T) {
	loopback, loopback6 := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")
	for name, test := range map[string]struct {
		network, listen string
		want            netip.Addr
	}{
		"IPv4":               {"tcp4", "127.0.0.1:0", loopback},
		"IPv6":               {"tcp6", "[::1]:0", loopback6},
		"both families":      {"tcp", "[::]:0", loopback},
		"both families, too": {"tcp", "[::]:0", loopback6},
		"Unix":               {"unix", filepath.Join(t.TempDir(), "socket"), netip.Addr{}},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen(test.network, test.listen)
			if test.listen[0] == '[' && err != nil {
				t.Skip("no IPv6 here")
			}
			require.NoError(t, err)
			defer l.Close()
			address := l.Addr().String()
			if tcp, ok := l.Addr().(*net.TCPAddr); ok {
				address = netip.AddrPortFrom(test.want, uint16(tcp.Port)).String()
			}
			dial(t, test.network, address)
			conn, err := l.Accept()
			require.NoError(t, err)
			defer conn.Close()
			file, err := conn.(interface{ File() (*os.File, error) }).File()
			require.NoError(t, err)
			defer file.Close()
			require.Equal(t, test.want, peer(file).Addr())
		})
	}
}

// All clients of a Unix socket meet one worker, and when it has gone, one other.
func TestStickyUnix(t *testing.T) {
	each(t, func(t *testing.T, worker []string) {
		path := filepath.Join(t.TempDir(), "socket")
		words := append(slices.Clone(worker[:len(worker)-1]), path)
		if words[0] == "go" {
			words[2] = "unix"
		}
		r := startPrimary(t, Settings{Policy: Sticky}, words...)
		workers, _ := r.fork(3)
		meetOne := func() (who string) {
			var met sync.Map
			var done sync.WaitGroup
			for range 50 {
				done.Go(func() { met.Store(get(t, "unix", path), true) })
			}
			done.Wait()
			met.Range(func(name, _ any) bool {
				require.Empty(t, who, "they have met another, too")
				who = name.(string)
				return true
			})
			return who
		}
		first := meetOne()
		require.Equal(t, first, meetOne())
		workers[slices.IndexFunc(workers, func(w *Worker) bool { return name(w) == first })].Leave()
		require.NotEqual(t, first, meetOne())
	})
}
