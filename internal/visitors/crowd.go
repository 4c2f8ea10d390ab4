package visitors

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

// First is the first time that something was answered.
type First struct {
	Name string // the answer, which says who gave it
	At   time.Time
}

// firstsKept is how many are kept for whoever reads them later. It is more than any
// demonstration has workers.
const firstsKept = 1000

// Crowd is a number of visitors who come again and again. Visit and Sofar may be
// called from any goroutine, Disperse once.
type Crowd struct {
	// Firsts has each answer's first time. There is room for 1000 of them that
	// nobody reads; more are dropped.
	Firsts chan First

	ctx     context.Context
	address string
	enough  chan struct{} // closed when they shall not come again
	gone    sync.WaitGroup

	mu    sync.Mutex
	tally Tally
}

// Gather lets so many visitors come, each with a short rest between two visits. They
// come until Disperse is called, which must be, or ctx ends.
func Gather(ctx context.Context, address string, visitors int, rest time.Duration) *Crowd {
	return gather(ctx, visitors, rest, visitor{address: address})
}

// GatherRegulars is Gather for visitors who keep their connections: each has one for all
// visits, until the server ends it, and then the next.
func GatherRegulars(ctx context.Context, address string, visitors int, rest time.Duration) *Crowd {
	return gather(ctx, visitors, rest, visitor{address: address, regular: true})
}

func gather(ctx context.Context, visitors int, rest time.Duration, like visitor) *Crowd {
	c := &Crowd{
		Firsts:  make(chan First, firstsKept),
		ctx:     ctx,
		address: like.address,
		enough:  make(chan struct{}),
		tally:   Tally{Answered: map[string]int{}},
	}
	for range visitors {
		c.gone.Go(func() { c.comeAgain(like, rest) })
	}
	return c
}

func (c *Crowd) comeAgain(v visitor, rest time.Duration) {
	defer v.leave()
	for c.ctx.Err() == nil {
		c.visit(&v, "/", func() {})
		select {
		case <-c.enough:
			return
		case <-time.After(rest):
		}
	}
}

// Visit makes one more visit that counts, in the caller's goroutine.
func (c *Crowd) Visit(path string) (answer string, err error) {
	o := c.visit(&visitor{address: c.address}, path, func() {})
	return o.answer, o.err
}

// Begin begins one more visit that counts, and returns when its answer has begun, or when
// there will be none. The function that it returns waits for the end.
func (c *Crowd) Begin(path string) (end func()) {
	begun, ended := make(chan struct{}), make(chan struct{})
	begin := sync.OnceFunc(func() { close(begun) })
	go func() {
		defer close(ended)
		defer begin()
		c.visit(&visitor{address: c.address}, path, begin)
	}()
	<-begun
	return func() { <-ended }
}

func (c *Crowd) visit(v *visitor, path string, begun func()) outcome {
	start := time.Now()
	o := v.visit(c.ctx, path, begun)
	c.count(o, time.Since(start))
	return o
}

// count adds one visit.
func (c *Crowd) count(o outcome, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, now := &c.tally, time.Now()
	if took > t.Longest {
		t.Longest, t.LongestBy = took, ""
		if o.err == nil {
			t.LongestBy = o.answer
		}
	}
	switch {
	case o.err == nil:
		if t.Answered[o.answer]++; t.Answered[o.answer] == 1 {
			c.first(First{o.answer, now})
		}
	case errors.Is(o.err, syscall.ECONNREFUSED):
		t.Refused++
	case errors.Is(o.err, context.DeadlineExceeded), errors.Is(o.err, os.ErrDeadlineExceeded):
		t.Hung++
	default:
		t.CutOff = append(t.CutOff, Cut{At: now, Err: o.err, From: o.from, Again: o.again, Half: o.begun})
	}
}

func (c *Crowd) first(f First) {
	select {
	case c.Firsts <- f:
	default:
	}
}

// Disperse ends the visits, waits for those that are on their way, and returns what
// the visitors have met.
func (c *Crowd) Disperse() Tally {
	close(c.enough)
	c.gone.Wait()
	return c.Sofar()
}

// Sofar is what the visitors have met until now.
func (c *Crowd) Sofar() Tally {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.tally
	t.Answered, t.CutOff = maps.Clone(t.Answered), slices.Clone(t.CutOff)
	return t
}
