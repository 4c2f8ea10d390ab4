// Package restart decides when a worker that has ended is started again. It has no
// clock, no process and no goroutine: its caller says what happened and what time it
// is, so a test can try years of failures in a second.
//
// Read policy.go, which has the numbers; pool.go, which schedules the starts; and
// suspend.go, which stops a crash loop. firsterrors.go remembers how a crash loop began.
package restart

import (
	"math/rand/v2"
	"time"
)

// The numbers of Default.
const (
	// RestartsPerWorker, in one Period. A worker may meet a few bad requests in a
	// row, and even Node starts in about 50 ms, so this many restarts cost little.
	RestartsPerWorker = 5
	// Period is short, so that one bad minute does not count in the next. The limit
	// of systemd is five starts in ten seconds, too.
	Period = 10 * time.Second
	// StableAfter: a fault of a program or its surroundings shows when the program
	// starts, or with its first requests.
	StableAfter = 2 * time.Second
	// FirstPause is hardly noticeable. And a core that only restarts a worker again
	// and again is still idle most of the time.
	FirstPause = 100 * time.Millisecond
	// MaxPause is the longest wait for a restart after the cause has been removed.
	MaxPause = 30 * time.Second
)

// jitter is the random part of each pause. Workers that failed together, in this pool
// or on a hundred machines, must not come back together.
const jitter = 0.5

// Policy says how often workers are started again.
type Policy struct {
	// Restarts is how many starts after a failure may begin in any stretch of
	// Period. A first start, or one after a retire notice, does not count.
	Restarts int
	Period   time.Duration
	// StableAfter is how long a worker must be ready to count as stable. A stable
	// worker that ends is replaced at once, and its failures are forgotten.
	StableAfter time.Duration
	// FirstPause is the pause before an unstable worker is replaced. It doubles
	// with each failure in a row, up to MaxPause.
	FirstPause, MaxPause time.Duration
	// Random returns a number in [0, 1).
	Random func() float64
}

// Default returns the policy for a number of workers.
func Default(workers int) Policy {
	return Policy{
		Restarts:    RestartsPerWorker * workers,
		Period:      Period,
		StableAfter: StableAfter,
		FirstPause:  FirstPause,
		MaxPause:    MaxPause,
		Random:      rand.Float64,
	}
}

// pause returns a pause that begins at first and doubles with each failure in a row.
func (p Policy) pause(first time.Duration, failures int) time.Duration {
	pause := min(first, p.MaxPause)
	for i := 1; i < failures && pause < p.MaxPause; i++ {
		pause = min(2*pause, p.MaxPause)
	}
	return pause - time.Duration(jitter*p.Random()*float64(pause))
}
