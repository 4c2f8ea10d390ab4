package visitors

import "time"

// Tally is what visitors have met.
type Tally struct {
	Answered  map[string]int // by what was answered
	CutOff    []Cut
	Refused   int
	Hung      int           // no answer and no end
	Longest   time.Duration // that any visit took
	LongestBy string        // what that one was answered, "" if it was not
}

// Cut is a visit that ended without a good answer.
type Cut struct {
	At   time.Time
	Err  error
	From string // the local address of the visitor's connection, "" if there was none
	// Again says that the connection had been kept from the visit before.
	Again bool
	// Half says that the answer had begun: its header had been read. One that came
	// whole, with a status other than 200, had begun, too.
	Half bool
}

// Failed is how many visits there were without a good answer.
func (t Tally) Failed() int { return len(t.CutOff) + t.Refused + t.Hung }

// Visits is how many there were.
func (t Tally) Visits() int {
	sum := t.Failed()
	for _, n := range t.Answered {
		sum += n
	}
	return sum
}
