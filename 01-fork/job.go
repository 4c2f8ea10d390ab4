package main

import (
	"context"
	"time"
)

// block is how many numbers in a row belong to one share. Larger numbers cost more, so equal
// shares take short blocks in turn.
const block = 10_000

// share is one worker's part of the job, which is to count the primes below Below: every
// Of-th block, from block Number on.
type share struct {
	Number int `json:"number"` // from 0
	Of     int `json:"of"`
	Below  int `json:"below"`
}

// split splits the job into n equal shares.
func split(n, below int) []share {
	shares := make([]share, n)
	for i := range shares {
		shares[i] = share{Number: i, Of: n, Below: below}
	}
	return shares
}

// progressInterval is how often a long count says how far it is.
const progressInterval = 5 * time.Second

// count does the work. It stops when ctx ends.
func (s share) count(ctx context.Context) (primes int, err error) {
	progress := time.Tick(progressInterval)
	for from := s.Number * block; from < s.Below; from += s.Of * block {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-progress:
			say.Printf("share %d of %d: at %d of %d", s.Number+1, s.Of, from, s.Below)
		default:
		}
		for n := from; n < min(from+block, s.Below); n++ {
			if isPrime(n) {
				primes++
			}
		}
	}
	return primes, nil
}

// isPrime is slow on purpose: it keeps the processor busy, and nothing else.
func isPrime(n int) bool {
	if n < 4 {
		return n > 1
	}
	if n%2 == 0 {
		return false
	}
	for d := 3; d*d <= n; d += 2 {
		if n%d == 0 {
			return false
		}
	}
	return true
}
