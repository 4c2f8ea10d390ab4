package main

import "time"

// theServer is the word that comes with the listening socket, as in the notes.
const theServer = "server"

// notice is everything else that primary and worker tell each other.
type notice struct {
	Act string `json:"act"`
	// Heartbeat, with ready, promises a notice at least every so many
	// milliseconds, up to a minute. Who promises nothing is not watched.
	Heartbeat float64 `json:"heartbeat,omitzero"`
}

const (
	actReady  = "ready"     // worker: I accept connections
	actBeat   = "heartbeat" // worker: I am still here
	actRetire = "retire"    // worker: replace me; the book's suicide signal
	actStop   = "stop"      // primary: accept nothing new, finish what is open, and end
)

// interval is the time that the worker has promised, or 0.
func (n notice) interval() time.Duration {
	return time.Duration(min(n.Heartbeat, 60_000) * float64(time.Millisecond))
}
