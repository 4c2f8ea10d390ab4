package restart

import (
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/ipc"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// steady has no jitter, so that a table can name each moment.
func steady(restarts int) Policy {
	policy := Default(1)
	policy.Restarts, policy.Random = restarts, func() float64 { return 0 }
	return policy
}

// started is how long after start each worker was started, if each ends at once.
func started(p *Pool, until time.Duration) (moments []time.Duration) {
	now := start
	for {
		at, ok := p.Next(now)
		if !ok || at.Sub(start) > until {
			return moments
		}
		now = at
		for number, ok := p.PopDue(now); ok; number, ok = p.PopDue(now) {
			moments = append(moments, now.Sub(start))
			p.Ended(number, NeverReady, now)
		}
	}
}

// A crash loop: longer and longer pauses, then rarer and rarer trials, for ever.
func TestCrashLoop(t *testing.T) {
	const ms, s = time.Millisecond, time.Second
	got := started(New(steady(5), 1, start), 100*time.Second)
	require.Empty(t, cmp.Diff([]time.Duration{
		0, 100 * ms, 300 * ms, 700 * ms, 1500 * ms, 3100 * ms, // five restarts
		13100 * ms, 33100 * ms, 63100 * ms, 93100 * ms, // given up: after 10, 20, 30, 30 s
	}, got))

	got = started(New(steady(5), 2, start), 40*time.Second)
	require.Empty(t, cmp.Diff([]time.Duration{
		0, 0, 100 * ms, 100 * ms, 300 * ms, 300 * ms, 10300 * ms, 30300 * ms, // one limit for both
	}, got))
}

// With jitter no pause is longer than that, and none shorter than half.
func TestJitter(t *testing.T) {
	policy := Default(1)
	for i := range 1000 {
		full := min(policy.FirstPause<<min(i, 20), policy.MaxPause)
		pause := policy.pause(policy.FirstPause, i+1)
		require.LessOrEqual(t, pause, full)
		require.GreaterOrEqual(t, pause, full/2)
	}
	require.LessOrEqual(t, policy.pause(time.Hour, 1), MaxPause)
	policy.Random = func() float64 { return 0.999 }
	require.Less(t, policy.pause(time.Hour, 1), MaxPause*6/10)
	require.Equal(t, 3*RestartsPerWorker, Default(3).Restarts)
}

// take takes the only slot, which must be due.
func take(t *testing.T, p *Pool, now time.Time) {
	t.Helper()
	number, ok := p.PopDue(now)
	require.True(t, ok)
	require.Zero(t, number)
}

// requireNext requires that the next start is due so long after now.
func requireNext(t *testing.T, p *Pool, now time.Time, want time.Duration) {
	t.Helper()
	at, ok := p.Next(now)
	require.True(t, ok)
	require.Equal(t, want, at.Sub(now))
}

// Who has held is replaced at once, and starts with a clean record.
func TestStable(t *testing.T) {
	p, now := New(steady(50), 1, start), start
	for range 3 {
		take(t, p, now)
		p.Ended(0, Crashed, now)
		at, _ := p.Next(now)
		now = at
	}
	take(t, p, now)
	p.Ready(0, now)
	now = now.Add(StableAfter - 1)
	p.Ended(0, Killed, now)
	requireNext(t, p, now, 8*FirstPause)

	now = now.Add(8 * FirstPause)
	take(t, p, now)
	p.Ready(0, now)
	now = now.Add(StableAfter)
	p.Ended(0, Killed, now)
	requireNext(t, p, now, 0)
	take(t, p, now)
	p.Ended(0, Killed, now)
	requireNext(t, p, now, FirstPause)
}

// Workers that hold, and are killed more often than the limit allows, wait for
// room, but nothing is given up.
func TestStableBeyondLimit(t *testing.T) {
	p, now := New(steady(2), 1, start), start
	for _, wait := range []time.Duration{0, 0, Period - 2*StableAfter} {
		take(t, p, now)
		p.Ready(0, now)
		now = now.Add(StableAfter)
		p.Ended(0, Killed, now)
		requireNext(t, p, now, wait)
		now = now.Add(wait)
	}
	require.Equal(t, On, p.State(now))
}

// A probe start that holds is the end of the trouble, and one that does not, not.
func TestTrial(t *testing.T) {
	p, now := New(steady(4), 2, start), start
	for {
		for number, ok := p.PopDue(now); ok; number, ok = p.PopDue(now) {
			p.Ended(number, NeverReady, now)
		}
		if p.State(now) != On {
			break
		}
		now, _ = p.Next(now)
	}
	require.Equal(t, Suspended, p.State(now))
	requireNext(t, p, now, Period)

	now = now.Add(Period)
	first, ok := p.PopDue(now)
	require.True(t, ok)
	require.Equal(t, Probing, p.State(now))
	_, ok = p.Next(now)
	require.False(t, ok, "one probe at a time")
	p.Ready(first, now)
	now = now.Add(StableAfter - 1)
	p.Ended(first, Crashed, now)
	require.Equal(t, Suspended, p.State(now))
	requireNext(t, p, now, 2*Period)

	now, _ = p.Next(now)
	second, ok := p.PopDue(now)
	require.True(t, ok)
	require.NotEqual(t, first, second, "whoever has waited longest")
	p.Ready(second, now)
	requireNext(t, p, now, StableAfter)
	now = now.Add(StableAfter)
	require.Equal(t, On, p.State(now))
	number, ok := p.PopDue(now)
	require.True(t, ok, "the others may start again")
	require.Equal(t, first, number)
	p.Ended(first, Crashed, now)
	requireNext(t, p, now, FirstPause) // with a clean record
}

// Once a probe start has held, a long pause of before is cut short.
func TestTrialCutsPauses(t *testing.T) {
	p, now := New(steady(4), 2, start), start
	p.PopDue(now)
	p.PopDue(now)
	for range 12 { // one wants to be replaced again and again, and so waits longer and longer
		p.Retire(1, now)
		now, _ = p.Next(now)
		p.PopDue(now)
	}
	for p.State(now) != Probing { // the other one fails
		p.Ended(0, NeverReady, now)
		now, _ = p.Next(now)
		p.PopDue(now)
	}
	p.Ready(0, now)
	p.Ended(1, Crashed, now)
	_, ok := p.DueAt(1, now)
	require.False(t, ok, "while there is a probe start")
	requireNext(t, p, now, StableAfter)
	now = now.Add(StableAfter)
	number, ok := p.PopDue(now)
	require.True(t, ok)
	require.Equal(t, 1, number)
}

// A probe start that retires has not held: its replacement has to.
func TestTrialRetires(t *testing.T) {
	p, now := New(steady(1), 1, start), start
	for p.State(now) != Probing {
		p.PopDue(now)
		if p.State(now) != Probing {
			p.Ended(0, NeverReady, now)
			now, _ = p.Next(now)
		}
	}
	p.Ready(0, now)
	p.Retire(0, now)
	now = now.Add(StableAfter)
	require.Equal(t, Probing, p.State(now))
	now, _ = p.DueAt(0, now)
	take(t, p, now)
	p.Ready(0, now)
	require.Equal(t, On, p.State(now.Add(StableAfter)))
}

// A retire notice is answered at once, again and again, and never counts; but a
// worker that retires as soon as it is ready must wait.
func TestRetire(t *testing.T) {
	p, now := New(steady(1), 1, start), start
	for range 100 {
		take(t, p, now)
		p.Ready(0, now)
		now = now.Add(StableAfter)
		p.Retire(0, now)
		requireNext(t, p, now, 0)
	}
	for i := range 5 {
		take(t, p, now)
		p.Ready(0, now)
		p.Retire(0, now)
		p.Retire(0, now) // says nothing new
		requireNext(t, p, now, FirstPause<<i)
		now = now.Add(FirstPause << i)
	}
	require.Equal(t, On, p.State(now))
}

// While restarts are suspended for a program that fails, a worker that has held
// for long is replaced at once, and one that wants to retire, too.
func TestStableAmongFailures(t *testing.T) {
	p, now := New(steady(4), 3, start), start
	for range 3 {
		_, ok := p.PopDue(now)
		require.True(t, ok)
	}
	p.Ready(1, now)
	p.Ready(2, now)
	now = now.Add(time.Minute)
	for p.State(now) == On {
		p.Ended(0, NeverReady, now)
		now, _ = p.Next(now)
		p.PopDue(now)
	}
	p.Ended(0, NeverReady, now) // the probe has failed
	require.Equal(t, Suspended, p.State(now))
	now = now.Add(15 * time.Second)
	p.Ended(1, Killed, now)
	p.Retire(2, now)
	for _, want := range []int{1, 2} {
		number, ok := p.PopDue(now)
		require.True(t, ok)
		require.Equal(t, want, number)
	}
	require.Equal(t, Suspended, p.State(now))
}

// Who was asked to end is not replaced, probe or not, and nobody unknown matters.
func TestAsked(t *testing.T) {
	p, now := New(steady(1), 1, start), start
	take(t, p, now)
	p.Ended(0, NeverReady, now)
	now, _ = p.Next(now)
	take(t, p, now)
	p.Ended(0, NeverReady, now)
	now, _ = p.Next(now)
	take(t, p, now)
	require.Equal(t, Probing, p.State(now))
	p.Ended(0, Asked, now)
	require.Equal(t, On, p.State(now), "there is nobody to be suspended")
	_, ok := p.Next(now)
	require.False(t, ok)
	p.Ended(0, Crashed, now)
	p.Ready(0, now)
	p.Retire(0, now)
	_, ok = p.Next(now)
	require.False(t, ok)
}

// As long as somebody is suspended restarts are, whoever else goes.
func TestAskedAmongSuspended(t *testing.T) {
	p, now := New(steady(1), 3, start), start
	for range 3 {
		p.PopDue(now)
	}
	p.Ended(0, NeverReady, now)
	p.Ended(1, NeverReady, now)
	require.Equal(t, []int{0, 1, 2}, p.Slots())
	for _, asked := range []int{2, 0} {
		require.Equal(t, Suspended, p.State(now))
		p.Ended(asked, Asked, now)
	}
	require.Equal(t, Suspended, p.State(now))
	p.Ended(1, Asked, now)
	require.Equal(t, On, p.State(now))
	require.Empty(t, p.Slots())
}

// What is counted as restarts are starts after failures.
func TestRestarts(t *testing.T) {
	p, now := New(steady(1), 1, start), start
	take(t, p, now)
	require.Zero(t, p.Restarts(0))
	p.Ready(0, now)
	now = now.Add(StableAfter)
	p.Retire(0, now)
	take(t, p, now)
	require.Zero(t, p.Restarts(0))
	p.Ready(0, now)
	now = now.Add(StableAfter)
	p.Ended(0, Killed, now)
	take(t, p, now)
	require.Equal(t, 1, p.Restarts(0))
	require.Zero(t, p.Restarts(7))
}

// Failures that are further apart than the period do not add up.
func TestOldFailuresAreForgotten(t *testing.T) {
	p, now := New(steady(2), 1, start), start
	for range 10 {
		take(t, p, now)
		now = now.Add(Period)
		p.Ended(0, NeverReady, now)
		require.Equal(t, On, p.State(now))
		now, _ = p.Next(now)
	}
}

// probe makes slot 0 fail until its probe start is under way.
func probe(p *Pool) (now time.Time) {
	for now = start; p.State(now) != Probing; p.PopDue(now) {
		p.Ended(0, NeverReady, now)
		now, _ = p.Next(now)
	}
	return now
}

// That a probe start has held counts, even if nobody has asked in between.
func TestTrialHasHeldUnasked(t *testing.T) {
	p := New(steady(1), 1, start)
	take(t, p, start)
	now := probe(p)
	p.Ready(0, now)
	p.Ended(0, Killed, now.Add(StableAfter))
	require.Equal(t, On, p.State(now.Add(StableAfter)))
}

// An end that is told twice is one.
func TestEndedTwice(t *testing.T) {
	p := New(steady(5), 1, start)
	take(t, p, start)
	p.Ended(0, Crashed, start)
	p.Ended(0, Crashed, start)
	require.Equal(t, 1, p.Failures(0))
	requireNext(t, p, start, FirstPause)
}

// A policy that allows no restart allows one.
func TestNoRestarts(t *testing.T) {
	require.NotEmpty(t, started(New(steady(0), 1, start), time.Hour)[1:])
}

func TestReasonFor(t *testing.T) {
	require.Equal(t, NeverReady, ReasonFor(false, ipc.Exit{}))
	require.Equal(t, NeverReady, ReasonFor(false, ipc.Exit{Signal: syscall.SIGKILL}))
	require.Equal(t, Exited, ReasonFor(true, ipc.Exit{}))
	require.Equal(t, Crashed, ReasonFor(true, ipc.Exit{Code: 2}))
	require.Equal(t, Killed, ReasonFor(true, ipc.Exit{Code: -1, Signal: syscall.SIGKILL}))
	require.Equal(t, "never ready", NeverReady.String())
}

// A slot that is added has a worker already, and allows more restarts until that is
// asked to leave.
func TestAdd(t *testing.T) {
	policy := steady(0)
	policy.MaxPause = policy.FirstPause
	for asked, want := range map[bool]int{false: 2*RestartsPerWorker + 1, true: RestartsPerWorker + 1} {
		p, now := New(policy, 0, start), start
		require.Equal(t, []int{0, 1}, []int{p.Add(), p.Add()})
		_, ok := p.Next(now)
		require.False(t, ok, "nobody is to be started")
		if asked {
			p.Ended(1, Asked, now)
		}
		failures := 0
		for p.State(now) == On {
			p.Ended(0, NeverReady, now)
			failures++
			now, _ = p.Next(now)
			p.PopDue(now)
		}
		require.Equal(t, want, failures)
		require.Equal(t, 2, p.Add(), "no number is used again")
	}
}

// When a slot goes, the last of the starts so far count.
func TestRoomAfterAsked(t *testing.T) {
	p, now := New(steady(1), 1, start), start
	take(t, p, now)
	added := p.Add()
	for range RestartsPerWorker + 1 {
		p.Ready(0, now)
		now = now.Add(StableAfter)
		p.Ended(0, Killed, now)
		now, _ = p.Next(now)
		take(t, p, now)
	}
	p.Ended(added, Asked, now)
	p.Ready(0, now)
	now = now.Add(StableAfter)
	p.Ended(0, Killed, now)
	requireNext(t, p, now, Period-StableAfter) // the last one is that old
}
