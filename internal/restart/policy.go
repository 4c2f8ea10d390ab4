// Package restart decides when a worker that has ended is started again. It has no
// clock, no process and no goroutine: it is told what happened and what time it is,
// so that a test can try years of trouble in a second.
//
// policy.go holds the numbers, reason.go why a worker has ended, and pool.go what
// follows from both.
package restart

import (
	"math/rand/v2"
	"time"
)

// The numbers of Default.
const (
	// RestartsPerWorker, in one Period: a worker may meet a few bad requests in a
	// row, and even Node starts in some 50 ms, so this many cost next to nothing.
	RestartsPerWorker = 5
	// Period is short, so that a bad minute is forgotten in the next; systemd's
	// limit, too, is five starts in ten seconds.
	Period = 10 * time.Second
	// StableAfter: what is wrong with a program or its surroundings shows when it
	// starts, or with the first requests.
	StableAfter = 2 * time.Second
	// FirstPause is hardly noticed, and yet a core that does nothing but restart
	// such a worker is idle for most of the time.
	FirstPause = 100 * time.Millisecond
	// MaxPause is how long one may have to wait after the cause has been mended.
	MaxPause = 30 * time.Second
)

// jitter is the part of each pause that is random: what failed together, in this
// pool or on a hundred machines, shall not come back together.
const jitter = 0.5

// Policy says how often workers are started again.
type Policy struct {
	// At most Restarts starts after failures begin in any stretch of Period.
	// A first start, or one after a retire notice, does not count.
	Restarts int
	Period   time.Duration
	// A worker that was ready for StableAfter has held: it is replaced at once,
	// and what failed before it is forgotten.
	StableAfter time.Duration
	// One that has not is replaced after a pause: after FirstPause the first time,
	// then after twice as long each time, up to MaxPause.
	FirstPause, MaxPause time.Duration
	// Random is in [0, 1).
	Random func() float64
}

// Default is the policy for so many workers.
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

// pause is what begins with first and doubles with each failure in a row.
func (p Policy) pause(first time.Duration, inARow int) time.Duration {
	pause := min(first, p.MaxPause)
	for i := 1; i < inARow && pause < p.MaxPause; i++ {
		pause = min(2*pause, p.MaxPause)
	}
	return pause - time.Duration(jitter*p.Random()*float64(pause))
}
