package restart

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Pool schedules the workers of a number of slots. Its caller reports what happens to
// the worker in each slot, and asks which worker to start next, and when. Its methods
// are for one goroutine at a time.
type Pool struct {
	policy Policy
	slots  map[int]*slot
	recent []time.Time // the last starts that count against Policy.Restarts, oldest first

	suspended bool      // restarts after failures wait for a probe that proves stable
	probes    int       // the number of the next probe of this suspension, from 1
	nextProbe time.Time // when it may start
	probe     *slot     // has the probe that is running, or nil
}

// slot has one worker after another.
type slot struct {
	number   int
	allows   int       // its part of Policy.Restarts, which ends with it
	readyAt  time.Time // of its worker; zero before
	failures int       // in a row, see Failures
	restarts int       // ever, see Restarts

	due      bool      // its next worker waits to be started
	dueSince time.Time // when it began to wait
	dueAt    time.Time // when it may be started at the earliest
	counts   bool      // the start counts as a restart after a failure
	unstable bool      // the worker before it had not been stable
}

// New returns a pool with the slots 0 to n-1. Their first starts are due. Each allows up to
// RestartsPerWorker of policy.Restarts.
func New(policy Policy, n int, now time.Time) *Pool {
	p := &Pool{policy: policy, slots: map[int]*slot{}}
	for number := range n {
		allows := min(RestartsPerWorker, policy.Restarts/n)
		p.slots[number] = &slot{number: number, allows: allows, due: true, dueSince: now, dueAt: now}
	}
	return p
}

// Spare is the number of the slot that AddSpare adds.
const Spare = -1

// Add adds a slot, with the smallest number that is free. The caller starts its first worker.
// Until the slot is removed, it allows RestartsPerWorker more restarts.
func (p *Pool) Add() (number int) {
	for p.slots[number] != nil {
		number++
	}
	p.add(number)
	return number
}

// AddSpare adds a slot that will take the number of another one. There is at most one.
func (p *Pool) AddSpare() { p.add(Spare) }

// UseSpare gives the spare slot a number, which must be free.
func (p *Pool) UseSpare(number int) {
	s := p.slots[Spare]
	delete(p.slots, Spare)
	s.number = number
	p.slots[number] = s
}

func (p *Pool) add(number int) {
	p.slots[number] = &slot{number: number, allows: RestartsPerWorker}
	p.policy.Restarts += RestartsPerWorker
}

// PopDue returns a slot in which a worker must start now, and counts the worker as started.
func (p *Pool) PopDue(now time.Time) (number int, ok bool) {
	next, at := p.next(now)
	if next == nil || at.After(now) {
		return 0, false
	}
	next.due, next.readyAt = false, time.Time{}
	if next.counts {
		next.restarts++
		p.recent = append(p.recent, now)
		p.recent = p.recent[max(0, len(p.recent)-p.Limit()):]
	}
	if p.suspended && next.counts && next.unstable {
		p.probe = next
	}
	return next.number, true
}

// Next returns when to call PopDue and State again if nothing happens before.
func (p *Pool) Next(now time.Time) (at time.Time, ok bool) {
	next, at := p.next(now)
	if stable, ok := p.probeStableAt(); ok && (next == nil || stable.Before(at)) {
		return stable, true
	}
	return at, next != nil
}

// Ready reports that the worker in a slot can serve.
func (p *Pool) Ready(number int, now time.Time) {
	if s := p.slots[number]; s != nil && !s.due {
		s.readyAt = now
	}
}

// Retire reports that the worker in a slot must be replaced. Its end must not be
// reported. Nothing has failed; but a program that retires each time would make a hot
// loop, so the replacement of an unstable worker is delayed as after a failure.
func (p *Pool) Retire(number int, now time.Time) {
	s := p.slots[number]
	if s == nil || s.due {
		return
	}
	p.schedule(s, now, false)
	if p.probe == s {
		s.readyAt = time.Time{} // its replacement has to prove stable
	}
}

// Failed reports that the worker in a slot has ended without being asked to, or could not
// be started. An exit with code 0 is no exception: the slot is as empty as after a crash,
// and a program that exits each time would make as hot a loop.
func (p *Pool) Failed(number int, now time.Time) {
	s := p.slots[number]
	if s == nil || s.due {
		return
	}
	p.advance(now)
	p.schedule(s, now, true)
	p.suspend(s, now)
}

// Remove removes a slot. Its worker may still be running.
func (p *Pool) Remove(number int) {
	s := p.slots[number]
	if s == nil {
		return
	}
	delete(p.slots, number)
	p.policy.Restarts -= s.allows
	p.endSuspension(s)
}

// DueAt returns when the worker of a slot will be started if nothing happens before. ok
// is false if that worker is not due, or waits for the probe of another slot.
func (p *Pool) DueAt(number int, now time.Time) (at time.Time, ok bool) {
	p.advance(now)
	return p.dueAt(p.slot(number))
}

// Failures returns how often in a row the worker in a slot has failed, or retired,
// before it was stable.
func (p *Pool) Failures(number int) int { return p.slot(number).failures }

// Restarts returns how often the worker in a slot has been started again after a
// failure.
func (p *Pool) Restarts(number int) int { return p.slot(number).restarts }

// Slots returns the numbers of all slots, smallest first.
func (p *Pool) Slots() []int { return slices.Sorted(maps.Keys(p.slots)) }

// slot returns the slot with this number, or an empty one if it was removed.
func (p *Pool) slot(number int) *slot { return cmp.Or(p.slots[number], new(slot)) }

// schedule makes the start of a slot's next worker due.
func (p *Pool) schedule(s *slot, now time.Time, counts bool) {
	s.due, s.counts, s.dueSince, s.dueAt = true, counts, now, now
	s.unstable = s.readyAt.IsZero() || now.Sub(s.readyAt) < p.policy.StableAfter
	if !s.unstable {
		s.failures = 0
		return
	}
	s.failures++
	s.dueAt = now.Add(p.policy.pause(p.policy.FirstPause, s.failures))
}

// next returns the slot in which the next worker starts, and when.
func (p *Pool) next(now time.Time) (next *slot, at time.Time) {
	p.advance(now)
	for _, s := range p.slots {
		due, ok := p.dueAt(s)
		if ok && (next == nil || due.Before(at) || due.Equal(at) && s.number < next.number) {
			next, at = s, due
		}
	}
	return next, at
}

// dueAt returns when the next worker of a slot may start. ok is false if it is not due, or
// is suspended and not the next probe.
func (p *Pool) dueAt(s *slot) (at time.Time, ok bool) {
	at = s.dueAt
	if s.counts {
		at = later(at, p.roomAt())
	}
	if p.suspended && s.suspendable() {
		return later(at, p.nextProbe), s == p.nextToProbe()
	}
	return at, s.due
}

// Limit returns how many starts may count in a period. It is at least 1: with 0, a worker
// would never come back.
func (p *Pool) Limit() int { return max(p.policy.Restarts, 1) }

// roomAt returns when one more start may count.
func (p *Pool) roomAt() (at time.Time) {
	over := len(p.recent) - p.Limit()
	if over < 0 {
		return at
	}
	return p.recent[over].Add(p.policy.Period)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
