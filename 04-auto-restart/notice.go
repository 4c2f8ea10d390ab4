package main

import (
	"context"
	"time"
)

// notice is every message between primary and worker but the word "server", with which the
// listening socket comes as in the notes.
type notice struct {
	Act string `json:"act"`
	// Heartbeat comes with ready: the worker promises a message at least every so many
	// milliseconds, up to a minute. A worker without a promise is not watched.
	Heartbeat float64 `json:"heartbeat,omitzero"`
	// Within comes with stop: how many milliseconds the worker has.
	Within int64 `json:"within,omitzero"`
}

const (
	actReady  = "ready"     // from a worker: I accept connections
	actBeat   = "heartbeat" // from a worker: I am alive
	actRetire = "retire"    // from a worker: replace me; the book's suicide signal
	actStop   = "stop"      // from the primary: stop accepting, finish your requests, and exit
)

// stopNotice returns the notice for a worker whose time is up when ctx ends.
func stopNotice(ctx context.Context) notice {
	deadline, _ := ctx.Deadline()
	return notice{Act: actStop, Within: time.Until(deadline).Milliseconds()}
}

// interval returns the promised interval, or 0.
func (n notice) interval() time.Duration {
	return time.Duration(min(n.Heartbeat, 60_000) * float64(time.Millisecond))
}
