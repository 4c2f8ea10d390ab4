package cluster

import (
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/supervise"
)

// fakePrimary is a primary whose workers do nothing: what they are sent stays in their
// outgoing queues. The test holds its mu.
func fakePrimary(t *testing.T) *Primary {
	t.Helper()
	settings, err := Settings{Policy: RoundRobin}.withDefaults()
	require.NoError(t, err)
	p := newPrimary(settings)
	config := p.config()
	config.Started = func(*supervise.Worker) {} // no writeLoop
	config.Notify = func(supervise.Event) {}
	config.Command = func(process *supervise.Worker) *exec.Cmd {
		process.Value = newWorker(p, process)
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
	reply := (<-w.outgoing).message
	require.Zero(t, reply.errno())
	return w, p.ports[reply.Key].scheduler.(*dispatcher)
}

// given is the number of the connection that has been given to a worker, or -1.
func given(w *Worker) int64 {
	select {
	case outgoing := <-w.outgoing:
		return outgoing.message.Seq
	default:
		return -1
	}
}

// come is somebody whom nobody has accepted.
func come(t *testing.T, d *dispatcher) {
	t.Helper()
	conn, other, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close(); other.Close() })
	d.push(conn)
	d.dispatch()
}

// The turn is that of who was given one longest ago, and not of who got idle first.
func TestDispatchTurns(t *testing.T) {
	p := fakePrimary(t)
	a, d := p.addWorker(t)
	b, _ := p.addWorker(t)
	come(t, d)
	come(t, d)
	first, second := given(a), given(b)
	require.Less(t, first, second)
	b.connAnswered(second, true)
	a.connAnswered(first, true)
	come(t, d)
	require.GreaterOrEqual(t, given(a), int64(0))
	require.Equal(t, int64(-1), given(b))
}

// Who asks twice has one share, and one connection at a time.
func TestDispatchOnce(t *testing.T) {
	p := fakePrimary(t)
	w, d := p.addWorker(t)
	d.port.addWorker(w, message{})
	<-w.outgoing
	come(t, d)
	come(t, d)
	require.GreaterOrEqual(t, given(w), int64(0))
	require.Equal(t, int64(-1), given(w))
	require.Equal(t, 1, d.picker.len())
}

// Connections that come back are given in the order in which they came.
func TestDispatchOrder(t *testing.T) {
	p := fakePrimary(t)
	w, d := p.addWorker(t)
	come(t, d)
	come(t, d)
	come(t, d)
	waiting := slices.Clone(d.picker.(*roundRobin).queue)
	require.Len(t, waiting, 2)
	w.connAnswered(given(w), true)
	seq := given(w)
	require.Equal(t, waiting[0], w.pending[seq].conn)
}

// Who is full is asked again after another has accepted, and then once; not after that
// time when it has a connection or has gone.
func TestDispatchFull(t *testing.T) {
	p := fakePrimary(t)
	a, d := p.addWorker(t)
	b, _ := p.addWorker(t)
	come(t, d)
	a.connAnswered(given(a), false)
	require.Equal(t, []int{a.ID()}, idsOf(d.refused))
	seq := given(b)
	require.GreaterOrEqual(t, seq, int64(0), "the other one gets it")
	b.connAnswered(seq, true)
	require.Empty(t, d.refused)
	require.ElementsMatch(t, []int{a.ID(), b.ID()}, idsOf(d.idle))

	come(t, d)
	require.GreaterOrEqual(t, given(a), int64(0))
	d.retry(a)
	require.NotContains(t, idsOf(d.idle), a.ID(), "it has a connection")
	b.closePort(d.port.key)
	d.refused = append(d.refused, b)
	d.retry(b)
	require.NotContains(t, idsOf(d.idle), b.ID(), "it has gone")
}

// A port without workers is patient, counts whom it resets, and begins anew; whoever asks
// for it has it again.
func TestPortAge(t *testing.T) {
	p := fakePrimary(t)
	w, d := p.addWorker(t)
	pt := d.port
	age := func(ticks int) (events int) {
		for range ticks {
			pt.tick(3)
		}
		return len(p.Events())
	}
	require.Zero(t, age(10), "it has a worker")
	pt.removeWorker(w)
	delete(w.ports, pt.key)
	come(t, d)
	require.Zero(t, age(2))
	pt.addWorker(w, message{})
	<-w.outgoing
	require.GreaterOrEqual(t, given(w), int64(0))
	require.Zero(t, age(1))
	pt.removeWorker(w)
	come(t, d)
	require.Zero(t, age(2), "it counts anew")
	require.Equal(t, 1, age(1))
	require.Equal(t, Rejected{pt.address, 1}, <-p.Events())
	come(t, d)
	require.Zero(t, age(2))
	require.Contains(t, p.ports, pt.key)
	p.addWorker(t)
	require.Same(t, pt, p.ports[pt.key], "it was asked for again")
}

// The end comes when all who were there have been accepted, whoever refuses in between.
func TestDispatchFinish(t *testing.T) {
	p := fakePrimary(t)
	w, d := p.addWorker(t)
	come(t, d)
	come(t, d)
	first := given(w)
	d.finish()
	require.Contains(t, p.ports, d.port.key)
	w.connAnswered(first, true)
	second := given(w)
	w.connAnswered(second, false)
	require.Contains(t, p.ports, d.port.key, "one waits")
	d.retry(w)
	w.connAnswered(given(w), true)
	require.NotContains(t, p.ports, d.port.key)
}

// What all servers of a port share is what the first of them has brought, and within
// bounds, as is the number of ports.
func TestPortData(t *testing.T) {
	p := fakePrimary(t)
	w, d := p.addWorker(t)
	ask := func(index int, data string) message {
		q := query{Index: index, Address: new(string), Port: new(int), AddressType: []byte("4")}
		*q.Address = "127.0.0.1"
		w.answerQuery(message{Where: &q, Data: []byte(data)})
		return (<-w.outgoing).message
	}
	require.Nil(t, d.port.data)
	require.Equal(t, `"keys"`, string(ask(0, `"keys"`).Data))
	require.Equal(t, `"keys"`, string(ask(0, `"others"`).Data))
	require.Equal(t, -7, ask(0, `"`+string(make([]byte, maxData))+`"`).errno())
	for i := 1; i < maxPorts; i++ {
		require.Zero(t, ask(i, "null").errno())
	}
	require.Equal(t, -24, ask(maxPorts, "null").errno())
}

// An interrupt ends one wait, and not the next.
func TestQueueInterrupt(t *testing.T) {
	host, number := "127.0.0.1", 0
	fd, err := openSocket(query{Address: &host, Port: &number, AddressType: []byte("4")})
	require.NoError(t, err)
	name := socknameOf(fd)
	q := newListenSocket(fd, "test")
	defer q.close()
	q.interrupt()
	conn, err := q.wait()
	require.NoError(t, err)
	require.Nil(t, conn)
	q.arm()
	got := make(chan *os.File)
	go func() {
		conn, _ := q.wait()
		got <- conn
	}()
	client := dial(t, "tcp", net.JoinHostPort(name.Address, strconv.Itoa(name.Port)))
	server := <-got
	require.NotNil(t, server)
	reset(server)
	_, err = io.ReadAll(client)
	require.Error(t, err)
	require.Nil(t, q.accept())
}
