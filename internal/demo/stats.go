package demo

import "time"

// Stats is what happened to the requests of Clients.
type Stats struct {
	Answered  map[string]int // by answer
	Failures  []Result       // other than Refused and Hung
	Refused   int            // connections
	Hung      int            // no answer, and no end of the connection
	Longest   time.Duration  // the longest request
	LongestBy string         // its answer, "" if it failed
}

// Result is what happened to one request.
type Result struct {
	Answer string
	Err    error
	At     time.Time // of its end
	From   string    // the local address of the connection, "" without one
	Reused bool      // the connection had carried a request before
	Begun  bool      // the header of the answer was read
}

// Failed returns how many requests have failed.
func (s Stats) Failed() int { return len(s.Failures) + s.Refused + s.Hung }

// Requests returns how many requests there were.
func (s Stats) Requests() int {
	sum := s.Failed()
	for _, n := range s.Answered {
		sum += n
	}
	return sum
}
