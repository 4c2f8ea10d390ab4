package cluster

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// Scaling keeps the newest workers, and the port without any. What cannot be changes
// nothing.
func TestScale(t *testing.T) {
	each(t, func(t *testing.T, worker []string) {
		r, next := startChanging(t, Settings{}, worker...)
		require.NoError(t, r.Scale(3))
		r.requireTruth(3, nil, listening(3)...)
		require.NoError(t, r.Scale(3))
		newest := r.Workers()[2]
		address := r.listeningOf(newest)
		require.NoError(t, r.Scale(1))
		r.requireTruth(1, nil, "listening")
		require.Equal(t, []int{3}, r.ids())
		require.Equal(t, name(newest), get(t, "tcp", address))
		require.NoError(t, r.Scale(0))
		r.requireTruth(0, nil)
		waiting := dial(t, "tcp", address)
		require.NoError(t, askFor(waiting))
		require.EqualError(t, r.Scale(-1), "-1 workers: the number cannot be negative")
		r.requireTruth(0, nil)
		next("./nobody")
		require.ErrorContains(t, r.Scale(1), "nobody")
		r.requireTruth(0, nil)
		next(worker...)
		require.NoError(t, r.Scale(2))
		require.Contains(t, body(t, waiting), "worker")
		r.requireTruth(2, nil, listening(2)...)
		await(r, func(e Scaled) bool { return e == Scaled{From: 0, To: 2} })
		require.Empty(t, cmp.Diff([]Scaled{{From: 0, To: 3}, {From: 3, To: 1}, {From: 1, To: 0}}, sofar[Scaled](r)))
		await(r, func(e Failed) bool { return strings.Contains(e.String(), "nobody") })
	})
}

// Who asks for fewer workers during a reload gets those, and new ones only.
func TestScaleDownDuringReload(t *testing.T) {
	t.Parallel()
	r, next := startChanging(t, Settings{}, goHTTP...)
	_, address := r.fork(3)
	next("go", "late")
	end := r.begin(t.Context())
	candidate := r.late()
	require.NoError(t, r.Scale(1))
	r.requireTruth(1, running(0, 1), "listening", "online")
	candidate.goOn()
	require.NoError(t, end())
	r.requireTruth(1, done(1), "listening")
	require.Equal(t, []int{4}, r.ids())
	require.Equal(t, name(candidate), get(t, "tcp", address))
}

// None is none, though one has just been started.
func TestScaleToNoneDuringReload(t *testing.T) {
	t.Parallel()
	r, next := startChanging(t, Settings{}, goHTTP...)
	r.fork(2)
	next("go", "late")
	end := r.begin(t.Context())
	candidate := r.late()
	require.NoError(t, r.Scale(0))
	r.requireTruth(0, running(0, 0), "online")
	candidate.goOn()
	require.NoError(t, end())
	r.requireTruth(0, done(0))
}

// Those that are added during a reload are new: it leaves them alone.
func TestScaleUpDuringReload(t *testing.T) {
	t.Parallel()
	r, next := startChanging(t, Settings{}, goHTTP...)
	r.fork(1)
	next("go", "late")
	end := r.begin(t.Context())
	candidate := r.late()
	next(goHTTP...)
	require.NoError(t, r.Scale(3))
	r.requireTruth(3, running(0, 1), "listening", "online", "listening", "listening")
	candidate.goOn()
	require.NoError(t, end())
	r.requireTruth(3, done(1), listening(3)...)
	require.Equal(t, []int{2, 3, 4}, r.ids())
}

// Who is one too many is first who does not listen: to take back a worker that does not get
// ready costs nobody anything.
func TestScaleSparesThoseWhoListen(t *testing.T) {
	t.Parallel()
	r, next := startChanging(t, Settings{}, goHTTP...)
	workers, address := r.fork(1)
	next("go", "late")
	require.NoError(t, r.Scale(2))
	r.late()
	require.NoError(t, r.Scale(1))
	require.Equal(t, 1, r.Size())
	require.Equal(t, name(workers[0]), get(t, "tcp", address))
	r.requireTruth(1, nil, "listening")
	require.Equal(t, []int{1}, r.ids())
}
