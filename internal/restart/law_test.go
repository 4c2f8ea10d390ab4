package restart

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// world plays the workers of a pool. Their fates come from bytes, four for a
// worker: how it ends, how long it takes to get ready, how long it is, and how long
// the next event is put off. When the bytes are used up, the cause of all trouble
// is gone: whoever starts gets ready at once, and stays.
type world struct {
	t      *testing.T
	policy Policy
	pool   *Pool
	now    time.Time
	fates  []byte
	slots  []life
	counts []time.Time // starts after failures
	probe  int         // the slot of the probe start that is under way
}

// life is what the world knows of a slot.
type life struct {
	running, serving bool
	begun, ready     time.Time
	readyAt, endsAt  time.Time // zero: never
	retires          bool
	failed, held     bool // how its last worker ended
}

func (l life) heldAt(now time.Time) bool { return l.serving && now.Sub(l.ready) >= StableAfter }

// span makes durations of all sizes: 0, and 1 ms to 30 s.
func span(b byte) time.Duration {
	if b == 0 {
		return 0
	}
	return time.Duration(b%60) * time.Millisecond << (b / 28)
}

func play(t *testing.T, n int, restarts int, seed uint64, fates []byte) {
	policy := Default(1)
	policy.Restarts = restarts
	policy.Random = rand.New(rand.NewPCG(seed, 0)).Float64
	w := &world{t: t, policy: policy, now: start, fates: fates, slots: make([]life, n), probe: none}
	w.pool = New(policy, n, start)
	for len(w.fates) >= 4 {
		w.step()
	}
	for i := range w.slots { // mended: whatever would still go wrong, goes wrong now
		if w.slots[i].running {
			w.end(i)
		}
	}
	// One probe start, then as many as the limit allows in each period.
	recovery := policy.MaxPause + StableAfter + time.Duration(n/policy.Restarts+2)*Period
	for mended := w.now; !w.whole(); w.step() {
		require.LessOrEqual(t, w.now.Sub(mended), recovery, "it does not recover")
	}
	require.Equal(t, On, w.pool.State(w.now.Add(StableAfter)))
}

func (w *world) whole() bool {
	return !slices.ContainsFunc(w.slots, func(l life) bool { return !l.running || !l.serving })
}

// step starts whoever is due, and then goes to the next event.
func (w *world) step() {
	for number, ok := w.pool.PopDue(w.now); ok; number, ok = w.pool.PopDue(w.now) {
		w.start(number)
	}
	next, which := w.soonest()
	at, ok := w.pool.Next(w.now)
	require.True(w.t, ok || slices.ContainsFunc(w.slots, func(l life) bool { return l.running }),
		"no worker, and none will ever be started")
	if ok && (which == none || at.Before(next)) {
		require.True(w.t, at.After(w.now), "a hot loop: Take has refused what Next says is due")
		require.LessOrEqual(w.t, at.Sub(w.now), w.policy.MaxPause+Period)
		w.now = at
		return
	}
	if which == none {
		return
	}
	w.now = later(w.now, next)
	w.happens(which)
}

// soonest is the slot where something happens next, if left alone.
func (w *world) soonest() (at time.Time, which int) {
	which = none
	for i, l := range w.slots {
		next := l.endsAt
		if !l.serving {
			next = l.readyAt
			if next.IsZero() {
				next = l.endsAt
			}
		}
		if l.running && !next.IsZero() && (which == none || next.Before(at)) {
			at, which = next, i
		}
	}
	return at, which
}

func (w *world) happens(i int) {
	l := &w.slots[i]
	if !l.serving && !l.readyAt.IsZero() {
		l.serving, l.ready = true, w.now
		w.pool.Ready(i, w.now)
		return
	}
	w.end(i)
}

// end is the end of a worker, or its retire notice.
func (w *world) end(i int) {
	l := &w.slots[i]
	l.held = l.heldAt(w.now)
	l.failed = !(l.retires && l.serving)
	l.running, l.serving = false, false
	if i == w.probe {
		w.probe = none
	}
	if l.failed {
		w.pool.Ended(i, Reason(1+len(w.fates)%4), w.now)
	} else {
		w.pool.Retire(i, w.now)
	}
}

// start is where the laws are.
func (w *world) start(i int) {
	l := &w.slots[i]
	require.False(w.t, l.running, "started twice")
	if first := l.begun.IsZero(); !first && !l.held {
		require.GreaterOrEqual(w.t, w.now.Sub(l.begun), w.policy.FirstPause/2, "a hot loop")
	}
	if l.failed {
		w.counts = append(w.counts, w.now)
		if before := len(w.counts) - 1 - w.policy.Restarts; before >= 0 {
			require.GreaterOrEqual(w.t, w.now.Sub(w.counts[before]), w.policy.Period, "too many restarts in a period")
		}
		if w.probe != none && w.slots[w.probe].heldAt(w.now) {
			w.probe = none
		}
		if !l.held && w.pool.State(w.now) == Probing {
			require.Equal(w.t, none, w.probe, "two probe starts")
			w.probe = i
		}
	}
	*l = life{running: true, begun: w.now, readyAt: w.now}
	if len(w.fates) >= 4 {
		if w.fates[0]&1 != 0 {
			l.readyAt = w.now.Add(span(w.fates[1]))
		} else {
			l.readyAt = time.Time{}
		}
		l.retires = w.fates[0]&6 == 6
		l.endsAt = w.now.Add(span(w.fates[1]) + span(w.fates[2]) + 1)
		w.now = w.now.Add(span(w.fates[3] / 2))
		w.fates = w.fates[4:]
	}
}

// The laws, for any sequence of events: never more restarts after failures than
// allowed in any period, no hot loop, one probe start at a time, never zero workers
// for ever; and once the cause is gone, everybody is back within a bounded time.
func TestLaws(t *testing.T) {
	for seed := range uint64(600) {
		random := rand.New(rand.NewPCG(seed, 1))
		fates := make([]byte, random.IntN(800))
		for i := range fates {
			fates[i] = byte(random.Uint32())
		}
		play(t, 1+random.IntN(6), 1+random.IntN(12), seed, fates)
	}
}

func FuzzLaws(f *testing.F) {
	f.Add(byte(1), byte(4), uint64(1), []byte("each worker gets four bytes, and then its fate is sealed"))
	f.Add(byte(3), byte(0), uint64(2), make([]byte, 400))
	f.Fuzz(func(t *testing.T, n, restarts byte, seed uint64, fates []byte) {
		play(t, 1+int(n%8), 1+int(restarts%16), seed, fates)
	})
}
