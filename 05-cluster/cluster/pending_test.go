package cluster

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fakeBusy returns a fake primary with two workers that may have three unaccepted connections each.
func fakeBusy(t *testing.T) (a, b *Worker, d *dispatcher) {
	t.Helper()
	p := fakePrimary(t)
	a, d = p.addWorker(t)
	b, _ = p.addWorker(t)
	d.most, d.stuck = 3, time.Hour // on a busy machine, they must not count as stuck
	return a, b, d
}

// While no worker is idle, the worker with the fewest unaccepted connections must get the next, up
// to the limit. The others wait.
func TestSeveralUnaccepted(t *testing.T) {
	a, b, d := fakeBusy(t)
	for i := range 8 {
		pushConn(t, d)
		require.Equal(t, min(i/2+1, 3), max(len(a.pending), len(b.pending)))
	}
	require.Equal(t, 2, d.picker.len())
	first := givenSeq(a)
	require.Equal(t, []int64{first + 2, first + 4}, []int64{givenSeq(a), givenSeq(a)}, "the workers took turns")
	a.connAnswered(first, true)
	require.Equal(t, 1, d.picker.len())
	require.Len(t, a.pending, 3)
	require.Len(t, b.pending, 3)
}

// An idle worker must get a connection before a worker that has not accepted its last one.
func TestIdleWorkerFirst(t *testing.T) {
	a, b, d := fakeBusy(t)
	pushConn(t, d)
	for range 4 {
		pushConn(t, d)
		require.True(t, b.connAnswered(givenSeq(b), true))
	}
	require.Len(t, a.pending, 1)
}

// A worker that has left a connection unaccepted for a while must get no other one until it answers.
func TestStuckWorkerGetsNoMore(t *testing.T) {
	a, b, d := fakeBusy(t)
	pushConn(t, d)
	pushConn(t, d)
	for _, taker := range d.takers {
		taker.since = time.Now().Add(-d.stuck)
	}
	pushConn(t, d)
	pushConn(t, d)
	require.Equal(t, 2, d.picker.len())
	givenSeq(a)
	b.connAnswered(givenSeq(b), true)
	require.Len(t, a.pending, 1)
	require.Len(t, b.pending, 2, "it is alive")
	require.Zero(t, d.picker.len())
}

// A worker that refuses one of several connections must get no other one for a while, and keep what
// it has.
func TestRefusesOneOfSeveral(t *testing.T) {
	a, b, d := fakeBusy(t)
	for range 4 {
		pushConn(t, d)
	}
	first := givenSeq(a)
	require.True(t, a.connAnswered(first, false))
	require.Len(t, a.pending, 1)
	require.Len(t, b.pending, 3, "the other worker has the connection")
	require.Equal(t, []int{a.ID()}, idsOf(d.refused()))
	require.True(t, a.connAnswered(givenSeq(a), true))
	require.Empty(t, d.refused(), "it has room again")
}

// A number of pending connections that is out of range must be an error.
func TestMaxPending(t *testing.T) {
	for _, wrong := range []int{-1, maxPending + 1} {
		_, err := Settings{MaxPending: wrong}.withDefaults()
		require.ErrorContains(t, err, "there may be 1 to 16")
	}
	a, b, d := fakeBusy(t)
	d.most = 0
	b.acceptsLate(d.port.key)
	b.acceptsLate("another port")
	for range 12 {
		pushConn(t, d)
	}
	require.Len(t, a.pending, 1)
	require.Len(t, b.pending, 8, "it accepts late")
}

// A worker that opens its port again must keep the connections that it has not accepted, and have
// no more than before.
func TestPendingAfterReopening(t *testing.T) {
	a, b, d := fakeBusy(t)
	for range 6 {
		pushConn(t, d)
	}
	first := givenSeq(a)
	a.closePort(d.port.key)
	a.ports[d.port.key] = d.port
	d.port.addWorker(a, message{})
	pushConn(t, d)
	require.Len(t, a.pending, 3)
	require.Len(t, b.pending, 3)
	require.True(t, a.connAnswered(first, true))
	require.Len(t, a.pending, 3)
	require.Zero(t, d.picker.len())
}
