package watch

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"playing-with-processes/05-cluster/cluster"
	"playing-with-processes/internal/demo"
)

const (
	visitsPerSecond = 200 // unless the page asks for another number
	maxVisits       = 256 // at a time: a frozen cluster must not exhaust this process
	slowEvery       = 10  // one visit of these is slow, if slow visits are on
	slowTime        = 400 * time.Millisecond
)

// visitors are clients that come at a steady rate while a browser is watching, each with a
// connection of its own. None comes again.
type visitors struct {
	mu               sync.Mutex
	rate             int  // a second
	slow             bool // some visits take long
	present          int  // that have not gone
	count            int  // all so far
	answered, failed int  // visits
}

// visitorsState is what the page shows of them.
type visitorsState struct {
	Rate    int  `json:"rate"`
	Slow    bool `json:"slow"`
	Present int  `json:"present"`
}

func (v *visitors) state() visitorsState {
	v.mu.Lock()
	defer v.mu.Unlock()
	return visitorsState{Rate: v.rate, Slow: v.slow, Present: v.present}
}

// visit has visitors come while a browser is watching, until the page ends.
func (p *Page) visit() {
	const tick = time.Second / visitsPerSecond
	due, last := 0.0, time.Now() // how many visits are due, and since when
	for {
		pause, most := tick, 4.0
		if !p.streams.watched() {
			pause, most = 20*tick, 0
		}
		select {
		case <-p.ctx.Done():
			return
		case <-time.After(pause):
		}
		now := time.Now()
		due, last = min(due+float64(p.visitors.state().Rate)*now.Sub(last).Seconds(), most), now
		for ; due >= 1; due-- {
			p.comes()
		}
	}
}

// comes has a visitor come, or says why none can.
func (p *Page) comes() error {
	path, slow, ok := p.visitors.arrive()
	if !ok {
		return busy(fmt.Sprintf("%d visitors are here: wait until one has left", maxVisits))
	}
	address := p.open() // after arrive, so that untilGone waits for the visitor
	if address == "" {
		p.visitors.leave()
		return noCluster
	}
	p.start(func() {
		defer p.visitors.leave()
		p.makeVisit(address, path, slow)
	})
	return nil
}

// arrive counts a visitor, and returns the path that it asks for.
func (v *visitors) arrive() (path string, slow, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.present == maxVisits {
		return "", false, false
	}
	v.present++
	v.count++
	if !v.slow || v.count%slowEvery > 0 {
		return "/", false, true
	}
	path = fmt.Sprintf("/slow?ms=%d", slowTime.Milliseconds())
	if v.count/slowEvery%2 > 0 {
		path += "&header=late" // so that some die before a byte of their answer has come
	}
	return path, true, true
}

func (v *visitors) leave() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.present--
}

// makeVisit makes a request. It does not count if the program is about to end.
func (p *Page) makeVisit(address, path string, slow bool) {
	begun := time.Now()
	result := demo.Visit(p.ctx, address, path)
	if p.closing.Load() {
		return
	}
	p.visitors.note(result.Err == nil)
	took := time.Since(begun)
	if slow {
		took = 0
	}
	primary := p.cluster()
	handedOver := primary != nil && primary.Policy() != cluster.None
	p.handovers.visited(result, took, handedOver, workerNamed(primary, result.Answer))
}

func (v *visitors) note(answered bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if answered {
		v.answered++
	} else {
		v.failed++
	}
}

// Summary says what the visitors themselves have counted, or "" if there were none.
func (p *Page) Summary() string {
	p.visitors.mu.Lock()
	defer p.visitors.mu.Unlock()
	if p.visitors.answered+p.visitors.failed == 0 {
		return ""
	}
	return fmt.Sprintf("%d visits were answered, and %d were not", p.visitors.answered, p.visitors.failed)
}

// workerNamed returns the ID of the worker that an answer names, or 0.
func workerNamed(primary *cluster.Primary, answer string) int {
	if primary == nil || !strings.HasPrefix(answer, "worker ") {
		return 0
	}
	workers := primary.Workers()
	i := slices.IndexFunc(workers, func(w *cluster.Worker) bool { return w.String() == answer })
	if i < 0 {
		return 0
	}
	return workers[i].ID()
}

// untilGone waits until no visitor is left, or for a second: a frozen worker may keep one.
func (p *Page) untilGone() {
	ctx, cancel := context.WithTimeout(p.ctx, time.Second)
	defer cancel()
	for p.visitors.state().Present > 0 && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
}
