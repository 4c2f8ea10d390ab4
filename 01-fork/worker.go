package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"playing-with-processes/internal/ipc"
)

// counted is what a worker sends back.
type counted struct {
	Primes int     `json:"primes"`
	Wall   float64 `json:"wall"` // seconds it took
}

// worker is worker.js. It receives a share, counts, and sends the result.
func worker(ctx context.Context) error {
	parent, err := ipc.Parent()
	if err != nil {
		return err
	}
	part, err := receive[share](parent)
	if err != nil {
		return err
	}
	if part.Of < 1 || part.Number < 0 {
		return fmt.Errorf("not a share: %+v", part)
	}
	say.Printf("counting share %d of %d", part.Number+1, part.Of)

	// The end of the primary ends the channel, and so the counting: a busy worker must not
	// outlive it.
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		for range parent.Messages() {
		}
		cancel()
	}()
	start := time.Now()
	primes, err := part.count(ctx)
	if err != nil {
		return errors.New("the primary is gone")
	}
	if err := parent.Send(ctx, counted{primes, time.Since(start).Seconds()}); err != nil {
		return err
	}
	<-ctx.Done() // the primary disconnects when it has read the result
	return nil
}

// receive waits for one message.
func receive[T any](channel *ipc.Channel) (value T, err error) {
	message, err := channel.Receive()
	if err != nil {
		return value, err
	}
	return value, message.Decode(&value)
}
