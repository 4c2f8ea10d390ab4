package cluster

import (
	"io"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"playing-with-processes/internal/clitest"
	"playing-with-processes/internal/supervise"
)

// fakePrimary returns a primary whose workers do nothing: messages to them stay unsent, behind a
// first one. The test holds its mu.
func fakePrimary(t *testing.T) *Primary {
	t.Helper()
	settings, err := Settings{Policy: RoundRobin, MaxPending: 1}.withDefaults()
	require.NoError(t, err)
	p := newPrimary(settings)
	config := p.config()
	config.Started = func(*supervise.Worker) {} // no writeLoop
	config.Notify = func(supervise.Event) {}
	config.Command = func(process *supervise.Worker) *exec.Cmd {
		w := newWorker(p, process)
		w.unsent = []outgoing{{close: func() {}}}
		process.Value = w
		return exec.Command("sleep", "60")
	}
	p.supervisor = supervise.New(config)
	p.mu.Lock()
	t.Cleanup(func() {
		for _, pt := range p.ports {
			pt.release()
		}
		p.mu.Unlock()
		p.supervisor.Close()
		p.killAll()
		p.supervisor.Wait()
		p.running.Wait()
	})
	return p
}

// addWorker adds a worker, which listens on any free port.
func (p *Primary) addWorker(t *testing.T) (*Worker, *dispatcher) {
	t.Helper()
	w, err := p.Fork()
	require.NoError(t, err)
	host, number := "127.0.0.1", 0
	w.answerQuery(message{Where: &query{Address: &host, Port: &number, AddressType: []byte("4")}, Data: null})
	reply, _ := takeUnsent(w)
	require.Zero(t, reply.message.errno())
	return w, p.ports[reply.message.Key].scheduler.(*dispatcher)
}

// takeUnsent removes the next message to a worker, if there is one.
func takeUnsent(w *Worker) (out outgoing, ok bool) {
	if len(w.unsent) == 1 {
		return out, false
	}
	out = w.unsent[1]
	out.close()
	w.unsent = slices.Delete(w.unsent, 1, 2)
	return out, true
}

// givenSeq returns the seq of the next connection that a worker was given, or -1.
func givenSeq(w *Worker) int64 {
	if out, ok := takeUnsent(w); ok {
		return out.message.Seq
	}
	return -1
}

// givenConn returns the next connection that a worker was given, or noConn, and its seq.
func givenConn(w *Worker) (conn connFD, seq int64) {
	if seq = givenSeq(w); seq < 0 {
		return noConn, seq
	}
	return w.pending[seq].conn, seq
}

// newConn returns a connection that belongs to the caller.
func newConn(t *testing.T) connFD {
	t.Helper()
	var ends [2]int
	require.NoError(t, unix.Pipe(ends[:]))
	t.Cleanup(func() { unix.Close(ends[1]) })
	return connFD(ends[0])
}

// pushConn queues a new connection.
func pushConn(t *testing.T, d *dispatcher) {
	t.Helper()
	d.push(newConn(t))
	d.dispatch()
}

// eventually lets the goroutines of a fake primary run until the condition holds.
func (p *Primary) eventually(t *testing.T, condition func() bool) {
	t.Helper()
	p.mu.Unlock()
	defer p.mu.Lock()
	clitest.Eventually(t, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return condition()
	})
}

// Of workers that had equally many connections, the worker served least recently must get the
// next, and not the worker that is idle longest.
func TestDispatchTurns(t *testing.T) {
	p := fakePrimary(t)
	a, d := p.addWorker(t)
	b, _ := p.addWorker(t)
	pushConn(t, d)
	pushConn(t, d)
	first, second := givenSeq(a), givenSeq(b)
	require.Less(t, first, second)
	b.connAnswered(second, true)
	a.connAnswered(first, true)
	pushConn(t, d)
	require.GreaterOrEqual(t, givenSeq(a), int64(0))
	require.Equal(t, int64(-1), givenSeq(b))
}

// If the answer of a worker is read late, it must make up for the turns that it missed, but not
// for more than maxMissed of them.
func TestDispatchLateAnswer(t *testing.T) {
	for missed, makesUp := range map[int]int{1: 1, 5: 5, maxMissed: maxMissed, 3 * maxMissed: maxMissed} {
		p := fakePrimary(t)
		a, d := p.addWorker(t)
		b, _ := p.addWorker(t)
		serve := func(w *Worker) (served bool) {
			_, seq := givenConn(w)
			return seq >= 0 && w.connAnswered(seq, true)
		}
		pushConn(t, d)
		late := givenSeq(a)
		for range 1 + missed {
			pushConn(t, d)
			require.True(t, serve(b))
		}
		a.connAnswered(late, true)
		for range makesUp {
			pushConn(t, d)
			require.True(t, serve(a))
		}
		for range 5 { // and then they take turns
			pushConn(t, d)
			require.True(t, serve(b))
			pushConn(t, d)
			require.True(t, serve(a))
		}
	}
}

// A worker that joins must take turns with the others, and not make up for what came before.
func TestDispatchNewWorker(t *testing.T) {
	p := fakePrimary(t)
	a, d := p.addWorker(t)
	for range 20 {
		pushConn(t, d)
		a.connAnswered(givenSeq(a), true)
	}
	b, _ := p.addWorker(t)
	for range 5 {
		pushConn(t, d)
		b.connAnswered(givenSeq(b), true)
		pushConn(t, d)
		a.connAnswered(givenSeq(a), true)
	}
	require.Zero(t, d.pending)
}

// A worker that asks twice for a port must get one share, and one connection at a time.
func TestDispatchOnce(t *testing.T) {
	p := fakePrimary(t)
	w, d := p.addWorker(t)
	d.port.addWorker(w, message{})
	takeUnsent(w)
	pushConn(t, d)
	pushConn(t, d)
	require.GreaterOrEqual(t, givenSeq(w), int64(0))
	require.Equal(t, int64(-1), givenSeq(w))
	require.Equal(t, 1, d.picker.len())
}

// Connections must be given in the order of their arrival.
func TestDispatchOrder(t *testing.T) {
	p := fakePrimary(t)
	w, d := p.addWorker(t)
	pushConn(t, d)
	pushConn(t, d)
	pushConn(t, d)
	waiting := slices.Clone(d.picker.(*roundRobin).queue)
	require.Len(t, waiting, 2)
	w.connAnswered(givenSeq(w), true)
	seq := givenSeq(w)
	require.Equal(t, waiting[0], w.pending[seq].conn)
}

// A worker that has refused must get a connection again after another worker has accepted
// one, or after a pause; but not if it has a connection or has left.
func TestDispatchFull(t *testing.T) {
	p := fakePrimary(t)
	a, d := p.addWorker(t)
	b, _ := p.addWorker(t)
	pushConn(t, d)
	a.connAnswered(givenSeq(a), false)
	require.Equal(t, []int{a.ID()}, idsOf(d.refused()))
	seq := givenSeq(b)
	require.GreaterOrEqual(t, seq, int64(0), "the other worker gets it")
	b.connAnswered(seq, true)
	require.Empty(t, d.refused())
	require.ElementsMatch(t, []int{a.ID(), b.ID()}, idsOf(d.ready()))

	pushConn(t, d)
	require.GreaterOrEqual(t, givenSeq(a), int64(0))
	d.retry(d.taker(a))
	require.NotContains(t, idsOf(d.ready()), a.ID(), "it has a connection")
	left := d.taker(b)
	b.closePort(d.port.key)
	left.refused = true
	d.retry(left)
	require.NotContains(t, idsOf(d.ready()), b.ID(), "it has left")
}

// A port must be released when all queued connections were accepted, even if a worker
// refuses meanwhile.
func TestDispatchFinish(t *testing.T) {
	p := fakePrimary(t)
	w, d := p.addWorker(t)
	pushConn(t, d)
	pushConn(t, d)
	first := givenSeq(w)
	d.finish()
	require.Contains(t, p.ports, d.port.key)
	w.connAnswered(first, true)
	second := givenSeq(w)
	w.connAnswered(second, false)
	require.Contains(t, p.ports, d.port.key, "a connection waits")
	d.retry(d.taker(w))
	w.connAnswered(givenSeq(w), true)
	require.NotContains(t, p.ports, d.port.key)
}

// An interrupt must end one wait, and not the next.
func TestListenSocketInterrupt(t *testing.T) {
	host, number := "127.0.0.1", 0
	fd, err := openSocket(query{Address: &host, Port: &number, AddressType: []byte("4")}, RoundRobin)
	require.NoError(t, err)
	name := socknameOf(fd)
	socket := newListenSocket(fd, "test")
	defer socket.close()
	socket.interrupt()
	conn, err := socket.wait()
	require.NoError(t, err)
	require.Equal(t, noConn, conn)
	socket.arm()
	accepted := make(chan connFD)
	go func() {
		conn, _ := socket.wait()
		accepted <- conn
	}()
	client := dial(t, "tcp", net.JoinHostPort(name.Address, strconv.Itoa(name.Port)))
	server := <-accepted
	require.NotEqual(t, noConn, server)
	server.reset()
	_, err = io.ReadAll(client)
	require.Error(t, err)
	require.Equal(t, noConn, socket.accept())
}
