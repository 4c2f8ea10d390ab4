package restart

import (
	"maps"
	"slices"
	"time"
)

// Pool is a number of places for workers, each known by its number. Tell it what
// happens to the worker of each place; it tells whom to start, and when. For one
// goroutine at a time.
type Pool struct {
	policy Policy
	places map[int]*place
	added  int         // places, ever
	recent []time.Time // the last starts that count, oldest first

	open      bool // given up: restarts after failures are suspended
	trials    int  // the number of the next trial start since then, from 1
	nextTrial time.Time
	trial     int // the place of the trial start that is under way, or none
}

// none is no place.
const none = -1

// place has one worker after another.
type place struct {
	number int
	allows int       // see Add
	ready  time.Time // of its worker; zero before
	inARow int       // see Failures
	ever   int       // see Restarts

	owed    bool      // its worker is to be started,
	since   time.Time // since then,
	due     time.Time // not before this time,
	counted bool      // as a restart after a failure,
	young   bool      // and of one that had not held
}

// New returns a pool with the places 0 to n-1, whose first starts are due.
func New(policy Policy, n int, now time.Time) *Pool {
	p := &Pool{policy: policy, places: map[int]*place{}, trial: none, added: n}
	for number := range n {
		p.places[number] = &place{number: number, owed: true, since: now, due: now}
	}
	return p
}

// Add adds a place, whose first worker is started by the caller. It allows
// RestartsPerWorker more, until that is asked to leave.
func (p *Pool) Add() (number int) {
	number = p.added
	p.added++
	p.places[number] = &place{number: number, allows: RestartsPerWorker}
	p.policy.Restarts += RestartsPerWorker
	return number
}

// limit is how many starts may count in a period. With none, nothing would ever come
// back.
func (p *Pool) limit() int { return max(p.policy.Restarts, 1) }

// Take returns a place whose worker is to be started now, and takes it as started.
func (p *Pool) Take(now time.Time) (number int, ok bool) {
	next, at := p.next(now)
	if next == nil || at.After(now) {
		return none, false
	}
	next.owed, next.ready = false, time.Time{}
	if next.counted {
		next.ever++
		p.recent = append(p.recent, now)
		p.recent = p.recent[max(0, len(p.recent)-p.limit()):]
	}
	if p.open && next.counted && next.young {
		p.trial = next.number
	}
	return next.number, true
}

// Next is when Take, or Circuit, is worth asking again if nothing happens before.
func (p *Pool) Next(now time.Time) (at time.Time, ok bool) {
	next, at := p.next(now)
	if held, ok := p.trialHeld(); ok && (next == nil || held.Before(at)) {
		return held, true
	}
	return at, next != nil
}

// Ready says that the worker of a place can serve.
func (p *Pool) Ready(number int, now time.Time) {
	if pl := p.places[number]; pl != nil && !pl.owed {
		pl.ready = now
	}
}

// Retire says that the worker of a place wants to be replaced. Its end, later, is
// not to be reported. Nothing has failed, but a program that wants it each time
// would be a hot loop: so a young one waits as if it had failed.
func (p *Pool) Retire(number int, now time.Time) {
	pl := p.places[number]
	if pl == nil || pl.owed {
		return
	}
	p.owe(pl, now, false)
	if p.trial == number {
		pl.ready = time.Time{} // it is its replacement that has to hold
	}
}

// Due is when the worker of a place will be started if nothing happens before; not
// ok, if it is not owed or waits for a trial start of another place.
func (p *Pool) Due(number int, now time.Time) (at time.Time, ok bool) {
	p.advance(now)
	if pl := p.places[number]; pl != nil {
		return p.due(pl)
	}
	return at, false
}

// Failures is how often in a row the worker of a place has failed, or wanted to be
// replaced, before it held.
func (p *Pool) Failures(number int) int {
	if pl := p.places[number]; pl != nil {
		return pl.inARow
	}
	return 0
}

// Restarts is how often the worker of a place has been started again after a failure.
func (p *Pool) Restarts(number int) int {
	if pl := p.places[number]; pl != nil {
		return pl.ever
	}
	return 0
}

// Places are the numbers of all places, smallest first.
func (p *Pool) Places() []int { return slices.Sorted(maps.Keys(p.places)) }

// Ended says that the worker of a place has ended, or could not be started. One
// that was asked to leaves the place for good, and is not waited for.
func (p *Pool) Ended(number int, reason Reason, now time.Time) {
	pl := p.places[number]
	switch {
	case pl == nil:
		return
	case reason == Asked:
		delete(p.places, number)
		p.policy.Restarts -= pl.allows
		if p.trial == number {
			p.trial = none
		}
		if p.trial == none && !slices.ContainsFunc(slices.Collect(maps.Values(p.places)), (*place).suspendable) {
			p.open = false // there is nobody left to be suspended
		}
		return
	case pl.owed:
		return
	}
	p.advance(now)
	p.owe(pl, now, true)
	switch {
	case p.trial == number:
		p.trial = none
		p.trials++
		p.giveUp(now)
	case !p.open && pl.young && p.spent(now) > p.limit():
		p.open, p.trials = true, 1
		p.giveUp(now)
	}
}

// owe makes the start of the worker of a place due.
func (p *Pool) owe(pl *place, now time.Time, counted bool) {
	pl.owed, pl.counted, pl.since, pl.due = true, counted, now, now
	pl.young = pl.ready.IsZero() || now.Sub(pl.ready) < p.policy.StableAfter
	if !pl.young {
		pl.inARow = 0
		return
	}
	pl.inARow++
	pl.due = now.Add(p.policy.pause(p.policy.FirstPause, pl.inARow))
}

// giveUp puts off the next trial start.
func (p *Pool) giveUp(now time.Time) {
	p.nextTrial = now.Add(p.policy.pause(p.policy.Period, p.trials))
}

// next is the place whose worker is to be started next, and when.
func (p *Pool) next(now time.Time) (next *place, at time.Time) {
	p.advance(now)
	for _, candidate := range p.places {
		due, ok := p.due(candidate)
		if ok && (next == nil || due.Before(at) || due.Equal(at) && candidate.number < next.number) {
			next, at = candidate, due
		}
	}
	return next, at
}

// due is when the worker of a place may be started, if it is owed and the circuit
// does not stand against it.
func (p *Pool) due(pl *place) (at time.Time, ok bool) {
	at = pl.due
	if pl.counted {
		at = later(at, p.room())
	}
	if p.open && pl.suspendable() {
		return later(at, p.nextTrial), pl == p.nextForTrial()
	}
	return at, pl.owed
}

// suspendable: the start of its worker is what an open circuit suspends.
func (pl *place) suspendable() bool { return pl.owed && pl.counted && pl.young }

// nextForTrial is the place that has waited longest, unless a trial is under way.
func (p *Pool) nextForTrial() (longest *place) {
	if !p.open || p.trial != none {
		return nil
	}
	for _, candidate := range p.places {
		if !candidate.suspendable() {
			continue
		}
		if longest == nil || candidate.since.Before(longest.since) ||
			candidate.since.Equal(longest.since) && candidate.number < longest.number {
			longest = candidate
		}
	}
	return longest
}

// advance resumes restarts once a trial start has held: the cause is gone, and
// everybody gets a clean record.
func (p *Pool) advance(now time.Time) {
	if held, ok := p.trialHeld(); ok && !now.Before(held) {
		p.open, p.trial = false, none
		for _, pl := range p.places {
			pl.inARow = 0
			if soon := pl.since.Add(p.policy.FirstPause); pl.owed && soon.Before(pl.due) {
				pl.due = soon
			}
		}
	}
}

// trialHeld is when the trial start under way has held.
func (p *Pool) trialHeld() (at time.Time, ok bool) {
	if p.trial == none || p.places[p.trial].ready.IsZero() {
		return at, false
	}
	return p.places[p.trial].ready.Add(p.policy.StableAfter), true
}

// room is when one more start may count.
func (p *Pool) room() (at time.Time) {
	over := len(p.recent) - p.limit()
	if over < 0 {
		return at
	}
	return p.recent[over].Add(p.policy.Period)
}

// spent is how many starts count in the period that ends now, with those that
// are owed.
func (p *Pool) spent(now time.Time) (spent int) {
	for _, pl := range p.places {
		if pl.owed && pl.counted {
			spent++
		}
	}
	begun, _ := slices.BinarySearchFunc(p.recent, now.Add(-p.policy.Period), time.Time.Compare)
	return spent + len(p.recent) - begun
}

// Circuit says whether restarts after failures go on.
type Circuit int

const (
	// Closed: failed workers are started again.
	Closed Circuit = iota
	// Open: given up; at Next there will be one trial start.
	Open
	// HalfOpen: the trial start is under way. Once it has held, the circuit is closed.
	HalfOpen
)

// Circuit is its state at this time.
func (p *Pool) Circuit(now time.Time) Circuit {
	p.advance(now)
	switch {
	case !p.open:
		return Closed
	case p.trial == none:
		return Open
	}
	return HalfOpen
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
