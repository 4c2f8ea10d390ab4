package restart

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// steady returns a policy without jitter, so that a test can name each moment.
func steady(restarts int) Policy {
	policy := Default(1)
	policy.Restarts, policy.Random = restarts, func() float64 { return 0 }
	return policy
}

// testPool is a pool with a clock that the test sets.
type testPool struct {
	t    *testing.T
	pool *Pool
	now  time.Time
}

func newTestPool(t *testing.T, policy Policy, slots int) *testPool {
	return &testPool{t: t, pool: New(policy, slots, epoch), now: epoch}
}

// start starts the next worker, which must be due now, in this slot.
func (p *testPool) start(slot int) {
	p.t.Helper()
	number, ok := p.pool.PopDue(p.now)
	require.True(p.t, ok)
	require.Equal(p.t, slot, number)
}

func (p *testPool) ready(slot int)  { p.pool.Ready(slot, p.now) }
func (p *testPool) retire(slot int) { p.pool.Retire(slot, p.now) }
func (p *testPool) fail(slot int)   { p.pool.Failed(slot, p.now) }

func (p *testPool) remove(slot int) { p.pool.Remove(slot) }

// startStable starts the worker of a slot, and sets the clock to when it is stable.
func (p *testPool) startStable(slot int) {
	p.t.Helper()
	p.start(slot)
	p.ready(slot)
	p.wait(StableAfter)
}

// wait moves the clock.
func (p *testPool) wait(d time.Duration) { p.now = p.now.Add(d) }

// waitForNext moves the clock to when the pool wants to be asked again.
func (p *testPool) waitForNext() {
	p.t.Helper()
	at, ok := p.pool.Next(p.now)
	require.True(p.t, ok)
	p.now = at
}

// requireNext requires that the pool wants to be asked again after this time.
func (p *testPool) requireNext(want time.Duration) {
	p.t.Helper()
	at, ok := p.pool.Next(p.now)
	require.True(p.t, ok)
	require.Equal(p.t, want, at.Sub(p.now))
}

// requireNoNext requires that no worker is due.
func (p *testPool) requireNoNext(why string) {
	p.t.Helper()
	_, ok := p.pool.Next(p.now)
	require.False(p.t, ok, why)
}

func (p *testPool) requireState(want State) {
	p.t.Helper()
	require.Equal(p.t, want, p.pool.State(p.now))
}

// failDue starts each worker that is due and lets it fail at once. It returns how many.
func (p *testPool) failDue() (workers int) {
	for number, ok := p.pool.PopDue(p.now); ok; number, ok = p.pool.PopDue(p.now) {
		p.fail(number)
		workers++
	}
	return workers
}

// failUntilProbe lets the running worker of slot 0 and each of its successors fail until
// the pool has started a probe. It returns how many failed.
func (p *testPool) failUntilProbe() (failures int) {
	p.t.Helper()
	for ; p.pool.State(p.now) != Probing; p.pool.PopDue(p.now) {
		p.fail(0)
		p.waitForNext()
		failures++
		require.Less(p.t, failures, 100, "restarts are not suspended")
	}
	return failures
}

// crashLoop returns when workers are started, if each fails at once.
func (p *testPool) crashLoop(until time.Duration) (moments []time.Duration) {
	for {
		at, ok := p.pool.Next(p.now)
		if !ok || at.Sub(epoch) > until {
			return moments
		}
		p.now = at
		for range p.failDue() {
			moments = append(moments, p.now.Sub(epoch))
		}
	}
}
