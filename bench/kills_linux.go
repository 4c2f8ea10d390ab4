package main

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"playing-with-processes/internal/supervise"
)

// settles is when a server takes a worker for stable.
const settles = 200 * time.Millisecond

// replace measures how many milliseconds pass between a worker's end by SIGKILL and the first
// answer of its replacement: replace COMMAND.
func replace(args []string) (milliseconds float64, err error) {
	const kills = 3
	err = withServer(args, 2, func(s *server) error {
		for range kills {
			time.Sleep(settles)
			took, err := replaceOne(s)
			if err != nil {
				return err
			}
			milliseconds += took.Seconds() * 1e3 / kills
		}
		return nil
	})
	return milliseconds, err
}

// replaceOne kills a worker, and returns when its replacement has answered. It does not wait for
// one answer before it makes the next request, because a server may never answer what it has
// given to the dead worker.
func replaceOne(s *server) (time.Duration, error) {
	const every, atOnce, enough = 500 * time.Microsecond, 8, 5 * time.Second
	before := s.workers()
	if len(before) == 0 {
		return 0, fmt.Errorf("the server has no workers")
	}
	answers, asking := make(chan int, atOnce), 0
	begun := time.Now()
	syscall.Kill(before[0], syscall.SIGKILL)
	for tick := time.NewTicker(every); ; {
		select {
		case pid := <-answers:
			asking--
			if pid > 0 && !slices.Contains(before, pid) {
				tick.Stop()
				return time.Since(begun), nil
			}
		case <-tick.C:
			if time.Since(begun) > enough {
				return 0, fmt.Errorf("no replacement answers")
			}
			if asking < atOnce {
				asking++
				go func() { answers <- whoAnswers(s) }()
			}
		}
	}
}

// whoAnswers returns the pid of the worker that answers a request, or 0.
func whoAnswers(s *server) (pid int) {
	result, err := request(s, 1, "/pid")
	if err != nil {
		return 0
	}
	for answer := range result.answers {
		pid, _ = strconv.Atoi(strings.TrimSpace(answer))
	}
	return pid
}

// kills measures how many of the requests of 64 clients fail, or hang, with each worker that is
// killed: kills [flags] COMMAND.
func kills(args []string) (perKill float64, err error) {
	flags := flag.NewFlagSet("kills", flag.ContinueOnError)
	n := flags.Int("n", 20, "workers to kill")
	hung := flags.Bool("hung", false, "count the requests that hang, instead of those that fail")
	if err := flags.Parse(args); err != nil {
		return 0, err
	}
	err = withServer(flags.Args(), 2, func(s *server) error {
		var done atomic.Bool
		killed := make(chan error, 1)
		go func() {
			killed <- killWorkers(s, *n)
			done.Store(true)
		}()
		result, err := loadUntil(s, 64, &done)
		lost := result.failed
		if *hung {
			lost = result.hung
		}
		perKill = float64(lost) / float64(*n)
		return errors.Join(err, <-killed)
	})
	return perKill, err
}

// killWorkers kills n workers, each when the one before has been replaced.
func killWorkers(s *server, n int) error {
	for range n {
		time.Sleep(settles)
		if _, err := replaceOne(s); err != nil {
			return err
		}
	}
	time.Sleep(settles)
	return nil
}

// memory measures how many MiB one more worker takes, by the PSS of all processes of the server:
// memory COMMAND.
func memory(args []string) (mebibytes float64, err error) {
	for sign, workers := range map[float64]int{-1: 2, 1: 3} {
		err = withServer(args, workers, func(s *server) error {
			if _, err := request(s, 200, "/"); err != nil {
				return err
			}
			time.Sleep(settles)
			sum := supervise.Memory(s.cmd.Process.Pid)
			for _, pid := range s.workers() {
				sum += supervise.Memory(pid)
			}
			mebibytes += sign * float64(sum) / (1 << 20)
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	return mebibytes, nil
}
