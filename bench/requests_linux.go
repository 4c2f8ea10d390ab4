package main

import (
	"flag"
	"fmt"
	"sync/atomic"
	"time"
)

// requests measures the requests per second of a server: requests [flags] COMMAND.
func requests(args []string) (rate float64, err error) {
	flags := flag.NewFlagSet("requests", flag.ContinueOnError)
	clients := flags.Int("clients", 64, "requests at once")
	keepAlive := flags.Bool("keepalive", false, "a client goes on using its connection")
	workers := flags.Int("workers", 2, "processes that serve")
	if err := flags.Parse(args); err != nil {
		return 0, err
	}
	err = withServer(flags.Args(), *workers, func(s *server) error {
		if _, _, err := loadFor(s, 3*measuringTime(), *clients, "/", *keepAlive); err != nil {
			return err
		}
		result, took, err := loadFor(s, measuringTime(), *clients, "/", *keepAlive)
		rate = float64(result.answered) / took.Seconds()
		return err
	})
	return rate, err
}

// even measures the share of the worker that answers least, of what it would answer if all
// workers answered the same: even [flags] COMMAND.
func even(args []string) (share float64, err error) {
	const workers, clients = 4, 64
	err = withServer(args, workers, func(s *server) error {
		result, _, err := loadFor(s, measuringTime(), clients, "/pid", false)
		if err != nil {
			return err
		}
		least := result.answered
		for _, answers := range result.answers {
			least = min(least, answers)
		}
		if len(result.answers) < workers {
			least = 0
		}
		share = float64(least) * workers / float64(result.answered)
		return nil
	})
	return share, err
}

// withServer starts a server, and stops it when use has returned.
func withServer(command []string, workers int, use func(s *server) error) error {
	s, err := startServer(command, workers)
	if err != nil {
		return err
	}
	defer s.stop()
	return use(s)
}

// loadFor makes requests for a time. Each must be answered.
func loadFor(s *server, length time.Duration, clients int, path string, keepAlive bool) (outcome, time.Duration, error) {
	begun := time.Now()
	l, err := newLoad(s.address, path, keepAlive, func() bool { return time.Since(begun) < length })
	if err != nil {
		return outcome{}, 0, err
	}
	if err := l.run(clients); err != nil {
		return outcome{}, 0, err
	}
	if lost := l.failed + l.hung; lost > 0 || l.answered == 0 {
		return outcome{}, 0, fmt.Errorf("%d requests were answered, %d failed and %d hung", l.answered, l.failed, l.hung)
	}
	return l.outcome, time.Since(begun), nil
}

// request makes a number of requests, one after the other.
func request(s *server, n int, path string) (outcome, error) {
	l, err := newLoad(s.address, path, false, func() bool { n--; return n >= 0 })
	if err != nil {
		return outcome{}, err
	}
	err = l.run(1)
	return l.outcome, err
}

// loadUntil makes requests until done is set.
func loadUntil(s *server, clients int, done *atomic.Bool) (outcome, error) {
	l, err := newLoad(s.address, "/", false, func() bool { return !done.Load() })
	if err != nil {
		return outcome{}, err
	}
	err = l.run(clients)
	return l.outcome, err
}
