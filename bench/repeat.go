package main

import (
	"os"
	"strconv"
	"sync"
	"time"
)

// secondsVariable tells a measurement how long it may take.
const secondsVariable = "BENCH_SECONDS"

// measuringTime returns how long a measurement takes, after a warm-up. Servers that run JavaScript
// need a long one, of three times as much; for Go a quarter is enough.
func measuringTime() time.Duration {
	seconds, err := strconv.ParseFloat(os.Getenv(secondsVariable), 64)
	if err != nil {
		seconds = 0.3
	}
	return time.Duration(seconds * float64(time.Second))
}

// callsPerSecond calls step again and again in n goroutines. The sum of their rates is exact also
// if a step takes long, because each goroutine measures whole steps.
func callsPerSecond(n int, step func() error) (rate float64, err error) {
	length := measuringTime()
	rates, errs := make([]float64, n), make([]error, n)
	var running sync.WaitGroup
	for i := range n {
		running.Go(func() {
			if _, errs[i] = repeat(length/4, step); errs[i] == nil {
				rates[i], errs[i] = repeat(length, step)
			}
		})
	}
	running.Wait()
	for i := range n {
		if errs[i] != nil {
			return 0, errs[i]
		}
		rate += rates[i]
	}
	return rate, nil
}

// repeat calls step for a time, and at least once. It returns the calls per second.
func repeat(length time.Duration, step func() error) (rate float64, err error) {
	begun := time.Now()
	for calls := 1.0; ; calls++ {
		if err := step(); err != nil {
			return 0, err
		}
		if took := time.Since(begun); took >= length {
			return calls / took.Seconds(), nil
		}
	}
}
