package demo

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

// Load says what Start's clients do.
type Load struct {
	Address   string
	Clients   int
	Rest      time.Duration // between two requests of a client
	KeepAlive bool          // a client keeps its connection until the server closes it
}

// First is the first time that something was answered.
type First struct {
	Answer string // it names the worker
	At     time.Time
}

// maxFirsts is more than a demonstration has workers.
const maxFirsts = 1000

// Clients make requests until Stop. Get, Begin and Snapshot may be called from any
// goroutine; call Stop once.
type Clients struct {
	// Firsts receives the first time of each answer. It holds 1000 that are not
	// received; more are dropped.
	Firsts chan First

	ctx     context.Context
	address string
	stop    chan struct{} // closed by Stop
	running sync.WaitGroup

	mu    sync.Mutex
	stats Stats
}

// Start starts clients that make one request after the other until ctx ends or Stop is
// called. The caller must call Stop.
func Start(ctx context.Context, load Load) *Clients {
	c := &Clients{
		Firsts:  make(chan First, maxFirsts),
		ctx:     ctx,
		address: load.Address,
		stop:    make(chan struct{}),
		stats:   Stats{Answered: map[string]int{}},
	}
	for range load.Clients {
		c.running.Go(func() { c.repeat(load) })
	}
	return c
}

func (c *Clients) repeat(load Load) {
	one := client{address: load.Address, keepAlive: load.KeepAlive}
	defer one.close()
	for c.ctx.Err() == nil {
		c.get(&one, "/")
		select {
		case <-c.stop:
			return
		case <-time.After(load.Rest):
		}
	}
}

// Get makes one more request that counts, in the caller's goroutine.
func (c *Clients) Get(path string) (answer string, err error) {
	r := c.get(&client{address: c.address}, path)
	return r.Answer, r.Err
}

// Begin begins one more request that counts, except for Stats.Longest. It returns when the
// answer has begun, or when there will be none. The returned function waits for the end.
func (c *Clients) Begin(path string) (wait func()) {
	begun := make(chan struct{})
	begin := sync.OnceFunc(func() { close(begun) })
	var running sync.WaitGroup
	running.Go(func() {
		defer begin()
		one := client{address: c.address}
		c.count(one.get(c.ctx, path, begin), 0)
	})
	<-begun
	return running.Wait
}

func (c *Clients) get(one *client, path string) Result {
	start := time.Now()
	r := one.get(c.ctx, path, func() {})
	c.count(r, time.Since(start))
	return r
}

// count adds one request to the stats.
func (c *Clients) count(r Result, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.stats
	r.At = time.Now()
	if took > s.Longest {
		s.Longest, s.LongestBy = took, ""
		if r.Err == nil {
			s.LongestBy = r.Answer
		}
	}
	switch {
	case r.Err == nil:
		if s.Answered[r.Answer]++; s.Answered[r.Answer] == 1 {
			select {
			case c.Firsts <- First{r.Answer, r.At}:
			default: // it is full
			}
		}
	case errors.Is(r.Err, syscall.ECONNREFUSED):
		s.Refused++
	case errors.Is(r.Err, context.DeadlineExceeded), errors.Is(r.Err, os.ErrDeadlineExceeded):
		s.Hung++
	default:
		s.Failures = append(s.Failures, r)
	}
}

// Stop makes the clients stop, waits for their last answers, and returns the stats.
func (c *Clients) Stop() Stats {
	close(c.stop)
	c.running.Wait()
	return c.Snapshot()
}

// Snapshot returns the stats so far.
func (c *Clients) Snapshot() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Answered, s.Failures = maps.Clone(s.Answered), slices.Clone(s.Failures)
	return s
}
