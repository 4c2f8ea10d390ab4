package restart

import (
	"maps"
	"slices"
	"time"
)

// State says whether failed workers are restarted.
type State int

const (
	// On: they are.
	On State = iota
	// Suspended: there were too many failures. A single worker, the probe, starts
	// at the time that Next returns.
	Suspended
	// Probing: the probe runs. When it has been ready for StableAfter, the state is
	// On again.
	Probing
)

func (s State) String() string { return [...]string{"on", "suspended", "probing"}[s] }

// State returns the state at this time.
func (p *Pool) State(now time.Time) State {
	p.advance(now)
	switch {
	case !p.suspended:
		return On
	case p.probe == nil:
		return Suspended
	}
	return Probing
}

// suspend suspends restarts if the worker in a slot has failed once too often, and puts
// off the next probe if that worker was the probe.
func (p *Pool) suspend(s *slot, now time.Time) {
	switch {
	case p.probe == s:
		p.probe = nil
		p.probes++
	case !p.suspended && s.unstable && p.spent(now) > p.Limit():
		p.suspended, p.probes = true, 1
	default:
		return
	}
	p.nextProbe = now.Add(p.policy.pause(p.policy.Period, p.probes))
}

// spent returns how many starts count in the period that ends now, with those that are
// due.
func (p *Pool) spent(now time.Time) (spent int) {
	for _, s := range p.slots {
		if s.due && s.counts {
			spent++
		}
	}
	begun, _ := slices.BinarySearchFunc(p.recent, now.Add(-p.policy.Period), time.Time.Compare)
	return spent + len(p.recent) - begun
}

// advance resumes restarts once the probe has proved stable: the cause is gone, and the
// failures of every slot are forgotten.
func (p *Pool) advance(now time.Time) {
	stable, ok := p.probeStableAt()
	if !ok || now.Before(stable) {
		return
	}
	p.suspended, p.probe = false, nil
	for _, s := range p.slots {
		s.failures = 0
		if soon := s.dueSince.Add(p.policy.FirstPause); s.due && soon.Before(s.dueAt) {
			s.dueAt = soon
		}
	}
}

// probeStableAt returns when the running probe will have proved stable.
func (p *Pool) probeStableAt() (at time.Time, ok bool) {
	if p.probe == nil || p.probe.readyAt.IsZero() {
		return at, false
	}
	return p.probe.readyAt.Add(p.policy.StableAfter), true
}

// suspendable reports whether a suspension applies to the start of a slot's worker.
func (s *slot) suspendable() bool { return s.due && s.counts && s.unstable }

// nextToProbe returns the slot that has waited longest, or nil while a probe runs.
func (p *Pool) nextToProbe() (longest *slot) {
	if p.probe != nil {
		return nil
	}
	for _, s := range p.slots {
		if s.suspendable() && (longest == nil || s.dueSince.Before(longest.dueSince) ||
			s.dueSince.Equal(longest.dueSince) && s.number < longest.number) {
			longest = s
		}
	}
	return longest
}

// endSuspension ends a suspension if the slot that was removed is the last that it applied
// to.
func (p *Pool) endSuspension(removed *slot) {
	if p.probe == removed {
		p.probe = nil
	}
	if p.probe == nil && !slices.ContainsFunc(slices.Collect(maps.Values(p.slots)), (*slot).suspendable) {
		p.suspended = false
	}
}
