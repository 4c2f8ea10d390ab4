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

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// fakeSticky returns a fake primary with two idle workers. A connection from a pipe and a
// connection over TCP have different buckets.
func fakeSticky(t *testing.T) (p *Primary, a, b *Worker, d *dispatcher, s *sticky) {
	t.Helper()
	p = fakePrimary(t)
	p.settings.Policy = Sticky
	a, d = p.addWorker(t)
	b, _ = p.addWorker(t)
	s = d.picker.(*sticky)
	same := func() bool { return s.bucketOf(netip.MustParseAddr("127.0.0.1")) == s.bucketOf(netip.Addr{}) }
	for range 3 { // one seed in 65,536 is unsuitable
		if same() {
			s.seed = maphash.MakeSeed()
		}
	}
	require.False(t, same())
	return p, a, b, d, s
}

// pushConnFrom queues a connection from this bucket.
func pushConnFrom(t *testing.T, d *dispatcher, b bucket) connFD {
	t.Helper()
	conn := newConn(t)
	d.push(conn)
	s := d.picker.(*sticky)
	s.queue[len(s.queue)-1].bucket = b
	d.dispatch()
	return conn
}

// dialQueued connects, and returns once the connection is in the kernel's queue.
func dialQueued(t *testing.T, d *dispatcher) net.Conn {
	t.Helper()
	conn := dial(t, "tcp", d.port.address)
	control(d.socket.file, func(fd int) {
		for err := error(unix.EINTR); err == unix.EINTR; {
			_, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
		}
	})
	return conn
}

// ownersOf returns the IDs of the workers that own these buckets.
func (s *sticky) ownersOf(buckets ...bucket) (ids []int) {
	for _, b := range buckets {
		ids = append(ids, s.owner(b).ID())
	}
	return ids
}

// A new bucket must go to the worker that owns the fewest, and stay there. A worker that
// joins takes no buckets, and only the buckets of a worker that leaves get new owners.
func TestStickyOwners(t *testing.T) {
	p, _, b, _, s := fakeSticky(t)
	require.Empty(t, cmp.Diff([]int{1, 2, 1, 2, 1}, s.ownersOf(10, 20, 30, 40, 50)))
	require.Empty(t, cmp.Diff([]int{2, 1, 1, 2, 1}, s.ownersOf(20, 10, 50, 40, 30)), "in any order")
	p.addWorker(t)
	require.Empty(t, cmp.Diff([]int{1, 2, 1, 2, 1}, s.ownersOf(10, 20, 30, 40, 50)), "a worker has joined")
	require.Empty(t, cmp.Diff([]int{3, 3, 2}, s.ownersOf(60, 70, 80)), "new buckets")
	b.leavePorts()
	require.NotContains(t, idsOf(slices.Collect(maps.Keys(s.buckets))), b.ID())
	require.NotContains(t, idsOf(slices.Collect(maps.Values(s.owners))), b.ID())
	require.Empty(t, cmp.Diff([]int{1, 3, 1, 1, 1}, s.ownersOf(10, 20, 30, 40, 50)), "a worker has left")
	require.Empty(t, cmp.Diff([]int{3, 3, 3}, s.ownersOf(60, 70, 80)))
}

// A connection that waits for a busy worker must not delay a connection for an idle
// worker.
func TestStickyOvertakes(t *testing.T) {
	_, a, b, d, s := fakeSticky(t)
	s.ownersOf(10, 20)
	first := pushConnFrom(t, d, 10)
	pushConnFrom(t, d, 10)
	third := pushConnFrom(t, d, 20)
	conn, _ := givenConn(a)
	require.Equal(t, first, conn)
	conn, _ = givenConn(b)
	require.Equal(t, third, conn)
	require.Equal(t, 1, d.picker.len())
}

// The connections of one worker must be served in the order of their arrival.
func TestStickyOrder(t *testing.T) {
	_, a, b, d, s := fakeSticky(t)
	s.ownersOf(10, 20, 30)
	var arrived []connFD
	var served []int
	for range 4 {
		arrived = append(arrived, pushConnFrom(t, d, 10), pushConnFrom(t, d, 30)) // a owns both buckets
		pushConnFrom(t, d, 20)
	}
	for conn, seq := givenConn(a); conn != noConn; conn, seq = givenConn(a) {
		served = append(served, slices.Index(arrived, conn))
		a.connAnswered(seq, true)
	}
	require.Empty(t, cmp.Diff([]int{0, 1, 2, 3, 4, 5, 6, 7}, served))
	require.Equal(t, 3, d.picker.len(), "those of b, which has a connection")
	require.Len(t, b.pending, 1)
}

// A connection that was refused must go to another idle worker, and so must those that wait for
// the same worker, until that is asked again. No client moves.
func TestStickyRefused(t *testing.T) {
	_, a, b, d, s := fakeSticky(t)
	pushConn(t, d)
	pushConn(t, d)
	refused, seq := givenConn(a)
	waits := s.queue[0]
	a.connAnswered(seq, false)
	conn, seq := givenConn(b)
	require.Equal(t, waits.conn, conn)
	b.connAnswered(seq, true)
	conn, seq = givenConn(a)
	require.Equal(t, refused, conn, "b has accepted, so a may have room")
	a.connAnswered(seq, false)
	conn, seq = givenConn(b)
	require.Equal(t, refused, conn)
	b.connAnswered(seq, false)
	require.Equal(t, 1, d.picker.len(), "both are full")
	d.retry(d.taker(a))
	conn, seq = givenConn(a)
	require.Equal(t, refused, conn)
	a.connAnswered(seq, true)
	require.Empty(t, cmp.Diff([]int{a.ID()}, s.ownersOf(waits.bucket)))
}

// After a worker is gone, the connections that wait for it must go to another worker, and
// so must the connection that it had not accepted.
func TestStickyReturned(t *testing.T) {
	for how, returns := range map[string]func(d *dispatcher, a *Worker, conn connFD, seq int64){
		"dead":    func(d *dispatcher, _ *Worker, conn connFD, _ int64) { d.requeue(conn) },
		"leaving": func(_ *dispatcher, a *Worker, _ connFD, seq int64) { a.connAnswered(seq, false) },
	} {
		t.Run(how, func(t *testing.T) {
			p, a, b, d, _ := fakeSticky(t)
			pushConn(t, d)
			pushConn(t, d)
			returned, seq := givenConn(a)
			a.leavePorts()
			_, first := givenConn(b)
			require.GreaterOrEqual(t, first, int64(0), "the connection that has waited")
			returns(d, a, returned, seq)
			p.addWorker(t) // an idle worker that is not the owner
			b.connAnswered(first, true)
			conn, _ := givenConn(b)
			require.Equal(t, returned, conn)
			require.Equal(t, 1, d.pending)
		})
	}
}

// When too many connections wait for one worker, the first of them must go to another
// worker, for once, so that they do not delay the connections of other workers.
func TestStickyMaxQueue(t *testing.T) {
	p, a, b, d, _ := fakeSticky(t)
	p.eventually(t, func() bool { return d.waiting })
	for range 1 + maxQueue {
		pushConn(t, d)
	}
	require.Equal(t, maxQueue, d.picker.len())
	require.Equal(t, int64(-1), givenSeq(b))
	first := d.picker.(*sticky).queue[0]
	pushConn(t, d)
	require.Equal(t, maxQueue, d.picker.len())
	conn, seq := givenConn(b)
	require.Equal(t, first.conn, conn)
	require.Same(t, a, d.picker.(*sticky).owners[first.bucket])
	b.connAnswered(seq, true)
	require.Equal(t, int64(-1), givenSeq(b))
	a.connAnswered(givenSeq(a), false)
	require.Equal(t, maxQueue, d.picker.len(), "the queue is full, and one more goes to the other worker")
	_, seq = givenConn(b)
	b.connAnswered(seq, true)
	own := pushConnFrom(t, d, first.bucket+1)
	conn, _ = givenConn(b)
	require.Equal(t, own, conn)
}

// Connections that are rejected must be reset, in the primary and in the kernel's queue,
// and counted.
func TestStickyRejectAll(t *testing.T) {
	p, a, b, d, _ := fakeSticky(t)
	dialQueued(t, d)
	d.dispatch()
	require.GreaterOrEqual(t, givenSeq(a), int64(0))
	queued := dialQueued(t, d)
	d.dispatch()
	require.Equal(t, 1, d.picker.len())
	pushConn(t, d)
	require.GreaterOrEqual(t, givenSeq(b), int64(0))
	kernel := dialQueued(t, d)
	d.dispatch()
	require.Equal(t, 1, d.picker.len(), "no worker is idle")
	d.port.rejectAll()
	require.Zero(t, d.picker.len())
	for _, conn := range []net.Conn{queued, kernel} {
		_, err := io.ReadAll(conn)
		require.ErrorIs(t, err, syscall.ECONNRESET)
	}
	require.Equal(t, 2, p.reset)
	require.Equal(t, Rejected{d.port.address, 2}, <-p.Events())
	require.Equal(t, 2, d.pending, "the workers keep what they have")
}

// A client must have one address, whether the socket is for both families or not, and
// none over a Unix socket.
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
			control(file, func(fd int) { require.Equal(t, test.want, connFD(fd).peer().Addr()) })
		})
	}
}

// All clients of a Unix socket must get one worker and, when it has left, one other.
func TestStickyUnix(t *testing.T) {
	eachWorker(t, func(t *testing.T, words []string) {
		path := filepath.Join(t.TempDir(), "socket")
		words = append(slices.Clone(words[:len(words)-1]), path)
		if words[0] == "go" {
			words[2] = "unix"
		}
		h := startPrimary(t, Settings{Policy: Sticky}, words...)
		workers, _ := h.fork(3)
		onlyWorker := func() (worker string) {
			var answers sync.Map
			var done sync.WaitGroup
			for range 50 {
				done.Go(func() { answers.Store(get(t, "unix", path), true) })
			}
			done.Wait()
			answers.Range(func(name, _ any) bool {
				require.Empty(t, worker, "they got another worker, too")
				worker = name.(string)
				return true
			})
			return worker
		}
		first := onlyWorker()
		require.Equal(t, first, onlyWorker())
		workers[slices.IndexFunc(workers, func(w *Worker) bool { return w.String() == first })].Leave()
		require.NotEqual(t, first, onlyWorker())
	})
}
