package restart

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// In a crash loop the pauses must grow until restarts are suspended, and then the pauses
// between probes. The probes must go on.
func TestCrashLoop(t *testing.T) {
	const ms, s = time.Millisecond, time.Second
	got := newTestPool(t, steady(5), 1).crashLoop(100 * s)
	require.Empty(t, cmp.Diff([]time.Duration{
		0, 100 * ms, 300 * ms, 700 * ms, 1500 * ms, 3100 * ms, // five restarts
		13100 * ms, 33100 * ms, 63100 * ms, 93100 * ms, // suspended: probes after 10, 20, 30, 30 s
	}, got))

	got = newTestPool(t, steady(5), 2).crashLoop(40 * s)
	require.Empty(t, cmp.Diff([]time.Duration{
		0, 0, 100 * ms, 100 * ms, 300 * ms, 300 * ms, 10300 * ms, 30300 * ms, // one limit for both
	}, got))
}

// A probe that fails must double the pause before the next one, which must be the worker
// that has waited longest. A probe that proves stable must end the suspension.
func TestProbe(t *testing.T) {
	p := newTestPool(t, steady(4), 2)
	for p.failDue(); p.pool.State(p.now) == On; p.failDue() {
		p.waitForNext()
	}
	p.requireState(Suspended)
	p.requireNext(Period)

	p.wait(Period)
	first, ok := p.pool.PopDue(p.now)
	require.True(t, ok)
	p.requireState(Probing)
	p.requireNoNext("a probe is running")
	p.ready(first)
	p.wait(StableAfter - 1)
	p.fail(first)
	p.requireState(Suspended)
	p.requireNext(2 * Period)

	p.waitForNext()
	second := 1 - first // has waited longer
	p.start(second)
	p.ready(second)
	p.requireNext(StableAfter)
	p.wait(StableAfter)
	p.requireState(On)
	p.start(first)
	p.fail(first)
	p.requireNext(FirstPause) // its failures were forgotten
}

// A probe that proves stable must cut short the long pauses of other workers.
func TestProbeCutsPauses(t *testing.T) {
	p := newTestPool(t, steady(4), 2)
	p.start(0)
	p.start(1)
	for range 12 { // each retirement doubles the pause of slot 1
		p.retire(1)
		p.waitForNext()
		p.start(1)
	}
	p.failUntilProbe()
	p.ready(0)
	p.fail(1)
	_, ok := p.pool.DueAt(1, p.now)
	require.False(t, ok, "the probe of another slot is running")
	p.requireNext(StableAfter)
	p.wait(StableAfter)
	p.start(1)
}

// A probe that retires has not proved stable, so its replacement must.
func TestProbeRetires(t *testing.T) {
	p := newTestPool(t, steady(1), 1)
	p.start(0)
	p.failUntilProbe()
	p.ready(0)
	p.retire(0)
	p.wait(StableAfter)
	p.requireState(Probing)
	p.now, _ = p.pool.DueAt(0, p.now)
	p.startStable(0)
	p.requireState(On)
}

// A probe must count as stable after StableAfter, even if the pool was not asked until
// the probe ended.
func TestProbeStableUnasked(t *testing.T) {
	p := newTestPool(t, steady(1), 1)
	p.start(0)
	p.failUntilProbe()
	p.ready(0)
	p.wait(StableAfter)
	p.fail(0)
	p.requireState(On)
}

// While restarts are suspended, a stable worker that ends or retires must be replaced at
// once.
func TestStableWhileSuspended(t *testing.T) {
	p := newTestPool(t, steady(4), 3)
	for slot := range 3 {
		p.start(slot)
	}
	p.ready(1)
	p.ready(2)
	p.wait(time.Minute)
	p.failUntilProbe()
	p.fail(0)
	p.requireState(Suspended)

	p.wait(15 * time.Second)
	p.fail(1)
	p.retire(2)
	p.start(1)
	p.start(2)
	p.requireState(Suspended)
}

// Restarts must stay suspended until no suspended slot is left, whatever other slots are
// removed.
func TestRemoveWhileSuspended(t *testing.T) {
	p := newTestPool(t, steady(1), 3)
	for slot := range 3 {
		p.start(slot)
	}
	p.fail(0)
	p.fail(1)
	require.Equal(t, []int{0, 1, 2}, p.pool.Slots())
	for _, slot := range []int{2, 0} {
		p.requireState(Suspended)
		p.remove(slot)
	}
	p.requireState(Suspended)
	p.remove(1)
	p.requireState(On)
	require.Empty(t, p.pool.Slots())
}

// While a probe is running, the removal of another slot must not end the suspension.
func TestRemoveWhileProbing(t *testing.T) {
	p := newTestPool(t, steady(1), 2)
	p.start(0)
	p.start(1)
	p.failUntilProbe()
	p.remove(1)
	p.requireState(Probing)
}
