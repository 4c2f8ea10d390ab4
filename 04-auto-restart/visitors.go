package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// visitorWaits is how long a visitor waits for an answer: longer than any pause of
// the policy, so that one who gives up has been forgotten.
const visitorWaits = 60 * time.Second

// visit makes one request on a connection of its own, and tries nothing twice, as
// net/http's client may.
func visit(ctx context.Context, address, path string) (answer string, err error) {
	ctx, cancel := context.WithTimeout(ctx, visitorWaits)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Now()) })()

	response, err := request(conn, path)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(response.Status)
	}
	return strings.TrimSpace(string(body)), err
}

// request asks for path, and returns as soon as the answer begins.
func request(conn net.Conn, path string) (*http.Response, error) {
	_, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %v\r\nConnection: close\r\n\r\n", path, conn.RemoteAddr())
	if err != nil {
		return nil, err
	}
	return http.ReadResponse(bufio.NewReader(conn), nil)
}

// tally is what visitors have met.
type tally struct {
	answered map[string]int // by who answered
	cutOff   []cut
	refused  int
	hung     int // no answer and no end
	longest  time.Duration
}

// cut is a connection that ended without an answer.
type cut struct {
	at  time.Time
	err error
}

// first is the first answer of a worker.
type first struct {
	name string
	at   time.Time
}

// crowd is a number of visitors who come again and again.
type crowd struct {
	ctx     context.Context
	address string
	firsts  chan first
	enough  chan struct{} // closed when they shall not come again
	gone    sync.WaitGroup

	mu    sync.Mutex
	tally tally
}

// gather lets so many visitors come, each with a short rest between two visits.
func gather(ctx context.Context, address string, visitors int, rest time.Duration) *crowd {
	c := &crowd{
		ctx:     ctx,
		address: address,
		firsts:  make(chan first, 1000),
		enough:  make(chan struct{}),
		tally:   tally{answered: map[string]int{}},
	}
	for range visitors {
		c.gone.Go(func() { c.comeAgain(rest) })
	}
	return c
}

func (c *crowd) comeAgain(rest time.Duration) {
	for c.ctx.Err() == nil {
		c.visit("/")
		select {
		case <-c.enough:
			return
		case <-time.After(rest):
		}
	}
}

// visit makes one more visit that counts.
func (c *crowd) visit(path string) (answer string, err error) {
	begun := time.Now()
	answer, err = visit(c.ctx, c.address, path)
	c.count(answer, err, time.Since(begun))
	return answer, err
}

// count adds one visit.
func (c *crowd) count(answer string, err error, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, now := &c.tally, time.Now()
	t.longest = max(t.longest, took)
	switch {
	case err == nil:
		if t.answered[answer]++; t.answered[answer] == 1 {
			c.firsts <- first{answer, now}
		}
	case errors.Is(err, syscall.ECONNREFUSED):
		t.refused++
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		t.hung++
	default:
		t.cutOff = append(t.cutOff, cut{now, err})
	}
}

// disperse ends the visits, and returns what the visitors have met.
func (c *crowd) disperse() tally {
	close(c.enough)
	c.gone.Wait()
	return c.tally
}

// sofar is what the visitors have met until now.
func (c *crowd) sofar() tally {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.tally
	t.answered, t.cutOff = maps.Clone(t.answered), slices.Clone(t.cutOff)
	return t
}

// visits is how many there were.
func (t tally) visits() int {
	sum := len(t.cutOff) + t.refused + t.hung
	for _, n := range t.answered {
		sum += n
	}
	return sum
}
