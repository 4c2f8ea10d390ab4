package restart

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// simulation plays the workers of a pool. Each worker takes four bytes of input, which
// say how it ends, how long it takes to become ready, how long it then runs, and how much
// time its start takes. When the input is used up, the cause of the failures is gone:
// each new worker becomes ready at once and does not end.
type simulation struct {
	t        *testing.T
	policy   Policy
	pool     *Pool
	now      time.Time
	input    []byte
	slots    []*simulated
	restarts []time.Time // starts after failures
	probe    *simulated  // has the probe that is running, or nil
}

// simulated is a slot with its current worker.
type simulated struct {
	number       int
	running      bool
	serving      bool      // it is running, and ready
	startedAt    time.Time // zero before the first start
	servingSince time.Time
	readyAt      time.Time // when it will be ready, or zero for never
	endsAt       time.Time // when it will end or retire, or zero for never
	retires      bool      // it retires, if it is ready by then

	failed bool // the worker before it failed
	stable bool // the worker before it was stable
}

func (s *simulated) stableAt(now time.Time) bool {
	return s.serving && now.Sub(s.servingSince) >= StableAfter
}

// nextEvent returns when the worker will be ready, or will end.
func (s *simulated) nextEvent() (at time.Time, ok bool) {
	at = s.endsAt
	if !s.serving && !s.readyAt.IsZero() {
		at = s.readyAt
	}
	return at, s.running && !at.IsZero()
}

// span returns a duration of any size: 0, or 1 ms to 30 s.
func span(b byte) time.Duration {
	if b == 0 {
		return 0
	}
	return time.Duration(b%60) * time.Millisecond << (b / 28)
}

func simulate(t *testing.T, slots, restarts int, seed uint64, input []byte) {
	policy := Default(1)
	policy.Restarts = restarts
	policy.Random = rand.New(rand.NewPCG(seed, 0)).Float64
	s := &simulation{t: t, policy: policy, pool: New(policy, slots, epoch), now: epoch, input: input}
	for number := range slots {
		s.slots = append(s.slots, &simulated{number: number})
	}
	for len(s.input) >= 4 {
		s.step()
	}
	for _, slot := range s.slots { // whatever would still fail fails now
		if slot.running {
			s.end(slot)
		}
	}
	// One probe, then as many restarts as the limit allows in each period.
	recovery := policy.MaxPause + StableAfter + time.Duration(slots/policy.Restarts+2)*Period
	for repaired := s.now; slices.ContainsFunc(s.slots, func(s *simulated) bool { return !s.serving }); s.step() {
		require.LessOrEqual(t, s.now.Sub(repaired), recovery, "it does not recover")
	}
	require.Equal(t, On, s.pool.State(s.now.Add(StableAfter)))
}

// step starts all workers that are due, and then goes on to the next event.
func (s *simulation) step() {
	for number, ok := s.pool.PopDue(s.now); ok; number, ok = s.pool.PopDue(s.now) {
		s.requireLawfulStart(s.slots[number])
		s.start(s.slots[number])
	}
	slot, at := s.nextEvent()
	due, ok := s.pool.Next(s.now)
	require.True(s.t, ok || slices.ContainsFunc(s.slots, func(s *simulated) bool { return s.running }),
		"no worker runs, and none will ever be started")
	switch {
	case ok && (slot == nil || due.Before(at)):
		require.True(s.t, due.After(s.now), "a hot loop: PopDue has refused what Next says is due")
		require.LessOrEqual(s.t, due.Sub(s.now), s.policy.MaxPause+Period)
		s.now = due
	case slot == nil:
	case slot.serving || slot.readyAt.IsZero():
		s.now = later(s.now, at)
		s.end(slot)
	default:
		s.now = later(s.now, at)
		slot.serving, slot.servingSince = true, s.now
		s.pool.Ready(slot.number, s.now)
	}
}

// nextEvent returns the slot with the next event, or nil if no worker will have one.
func (s *simulation) nextEvent() (next *simulated, at time.Time) {
	for _, slot := range s.slots {
		if event, ok := slot.nextEvent(); ok && (next == nil || event.Before(at)) {
			next, at = slot, event
		}
	}
	return next, at
}

// end ends the worker of a slot, or lets it retire.
func (s *simulation) end(slot *simulated) {
	slot.stable = slot.stableAt(s.now)
	slot.failed = !slot.retires || !slot.serving
	slot.running, slot.serving = false, false
	if s.probe == slot {
		s.probe = nil
	}
	if slot.failed {
		s.pool.Failed(slot.number, s.now)
	} else {
		s.pool.Retire(slot.number, s.now)
	}
}

// requireLawfulStart requires that a worker may be started now.
func (s *simulation) requireLawfulStart(slot *simulated) {
	require.False(s.t, slot.running, "started twice")
	if first := slot.startedAt.IsZero(); !first && !slot.stable {
		require.GreaterOrEqual(s.t, s.now.Sub(slot.startedAt), s.policy.FirstPause/2, "a hot loop")
	}
	if !slot.failed {
		return
	}
	s.restarts = append(s.restarts, s.now)
	if before := len(s.restarts) - 1 - s.policy.Restarts; before >= 0 {
		period := s.now.Sub(s.restarts[before])
		require.GreaterOrEqual(s.t, period, s.policy.Period, "too many restarts in a period")
	}
	if s.probe != nil && s.probe.stableAt(s.now) {
		s.probe = nil
	}
	if !slot.stable && s.pool.State(s.now) == Probing {
		require.Nil(s.t, s.probe, "two probes at a time")
		s.probe = slot
	}
}

// start starts a worker, and takes from the input what will happen to it.
func (s *simulation) start(slot *simulated) {
	*slot = simulated{number: slot.number, running: true, startedAt: s.now, readyAt: s.now}
	if len(s.input) < 4 {
		return
	}
	how, untilReady, running, starting := s.input[0], s.input[1], s.input[2], s.input[3]
	s.input = s.input[4:]
	slot.readyAt = time.Time{}
	if how&1 != 0 {
		slot.readyAt = s.now.Add(span(untilReady))
	}
	slot.retires = how&6 == 6
	slot.endsAt = s.now.Add(span(untilReady) + span(running) + 1)
	s.now = s.now.Add(span(starting / 2))
}

// The laws must hold for any sequence of events: never more restarts after failures than
// the policy allows in any period, no hot loop, one probe at a time, and always a worker
// that runs or will be started. Once the cause of the failures is gone, all workers must
// be ready within a bounded time.
func TestLaws(t *testing.T) {
	for seed := range uint64(600) {
		random := rand.New(rand.NewPCG(seed, 1))
		input := make([]byte, random.IntN(800))
		for i := range input {
			input[i] = byte(random.Uint32())
		}
		simulate(t, 1+random.IntN(6), 1+random.IntN(12), seed, input)
	}
}

func FuzzLaws(f *testing.F) {
	f.Add(byte(1), byte(4), uint64(1), []byte("each worker takes four bytes, which say how and when it ends"))
	f.Add(byte(3), byte(0), uint64(2), make([]byte, 400))
	f.Fuzz(func(t *testing.T, slots, restarts byte, seed uint64, input []byte) {
		simulate(t, 1+int(slots%8), 1+int(restarts%16), seed, input)
	})
}
