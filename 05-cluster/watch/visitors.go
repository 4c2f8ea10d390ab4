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
	rate             *int // a second; nil is visitsPerSecond
	slow             bool // some visits take long
	present          int  // that have not gone
	count            int
	answered, failed int // visits
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
	s := visitorsState{Rate: visitsPerSecond, Slow: v.slow, Present: v.present}
	if v.rate != nil {
		s.Rate = *v.rate
	}
	return s
}

// visit has visitors come until the page ends.
func (p *Page) visit() {
	for next := time.Now(); ; {
		rate := p.visitors.state().Rate
		pause := time.Second / time.Duration(max(rate, 10))
		next = next.Add(pause)
		if late := time.Since(next); late > time.Second { // this process was suspended
			next = next.Add(late)
		}
		select {
		case <-p.ctx.Done():
			return
		case <-time.After(time.Until(next)):
		}
		if rate > 0 && p.streams.watched() && (rate >= 10 || p.visitors.due(10/rate)) {
			p.comes()
		}
	}
}

// due reports whether it is time for one visit in n.
func (v *visitors) due(n int) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.count++
	return v.count%n == 0
}

// comes has a visitor come, if the cluster is open. It reports whether it does.
func (p *Page) comes() bool {
	address := p.open()
	path, slow, ok := p.visitors.arrive()
	if address == "" || !ok {
		if ok {
			p.visitors.leave()
		}
		return false
	}
	p.running.Go(func() {
		defer p.visitors.leave()
		p.makeVisit(address, path, slow)
	})
	return true
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

// makeVisit makes a request. It does not count if the page ends first.
func (p *Page) makeVisit(address, path string, slow bool) {
	begun := time.Now()
	result := demo.Visit(p.ctx, address, path)
	if p.ctx.Err() != nil {
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

// Summary says what the visitors themselves have counted.
func (p *Page) Summary() string {
	p.visitors.mu.Lock()
	defer p.visitors.mu.Unlock()
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
