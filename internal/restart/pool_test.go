package restart

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A stable worker must be replaced at once, and its earlier failures must be forgotten.
func TestStable(t *testing.T) {
	p := newTestPool(t, steady(50), 1)
	for range 3 {
		p.start(0)
		p.fail(0)
		p.waitForNext()
	}
	p.start(0)
	p.ready(0)
	p.wait(StableAfter - 1)
	p.fail(0)
	p.requireNext(8 * FirstPause)

	p.wait(8 * FirstPause)
	p.startStable(0)
	p.fail(0)
	p.requireNext(0)
	p.start(0)
	p.fail(0)
	p.requireNext(FirstPause)
}

// Stable workers that are killed more often than the limit allows must wait until a
// restart is allowed, and restarts must not be suspended.
func TestStableBeyondLimit(t *testing.T) {
	p := newTestPool(t, steady(2), 1)
	for _, wait := range []time.Duration{0, 0, Period - 2*StableAfter} {
		p.startStable(0)
		p.fail(0)
		p.requireNext(wait)
		p.wait(wait)
	}
	p.requireState(On)
}

// A stable worker that retires must be replaced at once, any number of times, and must
// not count. A worker that retires as soon as it is ready must wait.
func TestRetire(t *testing.T) {
	p := newTestPool(t, steady(1), 1)
	for range 100 {
		p.startStable(0)
		p.retire(0)
		p.requireNext(0)
	}
	for i := range 5 {
		p.start(0)
		p.ready(0)
		p.retire(0)
		p.retire(0) // has no effect
		p.requireNext(FirstPause << i)
		p.wait(FirstPause << i)
	}
	p.requireState(On)
}

// Only starts after failures must count as restarts.
func TestRestarts(t *testing.T) {
	p := newTestPool(t, steady(1), 1)
	p.startStable(0)
	require.Zero(t, p.pool.Restarts(0))
	p.retire(0)
	p.startStable(0)
	require.Zero(t, p.pool.Restarts(0))
	p.fail(0)
	p.start(0)
	require.Equal(t, 1, p.pool.Restarts(0))
	require.Zero(t, p.pool.Restarts(7), "an unknown slot")
}

// Failures must not add up if more than a period lies between them.
func TestOldFailuresAreForgotten(t *testing.T) {
	p := newTestPool(t, steady(2), 1)
	for range 10 {
		p.start(0)
		p.wait(Period)
		p.fail(0)
		p.requireState(On)
		p.waitForNext()
	}
}

// A second report of the same end must have no effect.
func TestEndedTwice(t *testing.T) {
	p := newTestPool(t, steady(5), 1)
	p.start(0)
	p.fail(0)
	p.fail(0)
	require.Equal(t, 1, p.pool.Failures(0))
	p.requireNext(FirstPause)
}

// A policy that allows no restart must allow one.
func TestNoRestarts(t *testing.T) {
	require.NotEmpty(t, newTestPool(t, steady(0), 1).crashLoop(time.Hour)[1:])
}

// An added slot must have a running worker, and must allow more restarts until it is
// removed.
func TestAdd(t *testing.T) {
	policy := steady(0)
	policy.MaxPause = policy.FirstPause
	for removed, want := range map[bool]int{false: 2*RestartsPerWorker + 1, true: RestartsPerWorker + 1} {
		free := 2
		p := newTestPool(t, policy, 0)
		require.Equal(t, []int{0, 1}, []int{p.pool.Add(), p.pool.Add()})
		p.requireNoNext("both workers run")
		if removed {
			p.remove(1)
			free = 1
		}
		require.Equal(t, want, p.failUntilProbe())
		require.Equal(t, free, p.pool.Add(), "the smallest number that is free")
	}
}

// Replacing every slot, as a reload does, must not change how many restarts are allowed.
func TestLimitAfterReplacingAllSlots(t *testing.T) {
	p := newTestPool(t, Default(4), 4)
	for number := range 4 {
		p.pool.AddSpare()
		p.remove(number)
		p.pool.UseSpare(number)
	}
	require.Equal(t, []int{0, 1, 2, 3}, p.pool.Slots())
	require.Equal(t, 4*RestartsPerWorker, p.pool.Limit())
}

// When a slot is removed, and with it the restarts that it allowed, the latest starts
// must still count.
func TestLimitAfterRemoval(t *testing.T) {
	p := newTestPool(t, steady(1), 1)
	p.start(0)
	added := p.pool.Add()
	for range RestartsPerWorker + 1 {
		p.ready(0)
		p.wait(StableAfter)
		p.fail(0)
		p.waitForNext()
		p.start(0)
	}
	p.remove(added)
	p.ready(0)
	p.wait(StableAfter)
	p.fail(0)
	p.requireNext(Period - StableAfter) // after the latest start
}

// The worker of a removed slot must not be replaced, even if it is the probe. Reports about
// an unknown slot must have no effect.
func TestRemove(t *testing.T) {
	p := newTestPool(t, steady(1), 1)
	for range 2 {
		p.start(0)
		p.fail(0)
		p.waitForNext()
	}
	p.start(0)
	p.requireState(Probing)
	p.remove(0)
	require.Equal(t, On, p.pool.State(p.now), "no slot is left to be suspended")
	p.requireNoNext("the only slot was removed")
	p.fail(0)
	p.ready(0)
	p.retire(0)
	p.requireNoNext("the slot is unknown")
}

// FirstErrors must return the error that began the latest series of failures.
func TestFirstErrors(t *testing.T) {
	var errors FirstErrors
	require.Empty(t, errors.Latest())
	errors.Record(0, 1, "cause")
	errors.Record(0, 2, "effect")
	require.Equal(t, "cause", errors.Latest())
	errors.Record(1, 1, "of another slot")
	require.Equal(t, "of another slot", errors.Latest())
	errors.Record(0, 3, "effect")
	require.Equal(t, "cause", errors.Latest())
	errors.Record(0, 1, "new cause")
	require.Equal(t, "new cause", errors.Latest())
}
