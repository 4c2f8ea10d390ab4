package demo

import (
	"context"
	"log"
	"time"

	"playing-with-processes/internal/cli"
)

const (
	// NumClients make requests during a demonstration.
	NumClients = 4
	// Rest leaves the workers idle most of the time: a demonstration is not about how
	// much they can do.
	Rest = 20 * time.Millisecond
	// Quiet is how long nothing happens after each episode.
	Quiet = time.Second
)

// Episode is one incident of a demonstration.
type Episode struct {
	Name  string
	Shows string // what it demonstrates
	Run   func(context.Context) error
}

// Play announces and runs the episodes, one after the other, each with a quiet time after
// it. after, unless it is nil, is called when that is over.
func Play(ctx context.Context, say *log.Logger, episodes []Episode, after func(Episode)) error {
	for _, e := range episodes {
		say.Printf("--- %s\n  %s", e.Name, e.Shows)
		if err := e.Run(ctx); err != nil {
			return err
		}
		if err := cli.Pause(ctx, Quiet); err != nil {
			return err
		}
		if after != nil {
			after(e)
		}
	}
	return nil
}

// Await receives from a channel of events, until one of type E is the wanted one, and returns
// it. If ctx ends first, Await returns the error of ctx.
func Await[E, Event any](ctx context.Context, events <-chan Event, wanted func(E) bool) (event E, err error) {
	for {
		select {
		case received := <-events:
			if e, ok := any(received).(E); ok && wanted(e) {
				return e, nil
			}
		case <-ctx.Done():
			return event, ctx.Err()
		}
	}
}
