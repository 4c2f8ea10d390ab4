package restart

// Trouble remembers what a number of failures began with: what follows from that would
// hide it. The zero value is ready to use, by one goroutine at a time.
type Trouble struct {
	firsts map[int]string // by place: the first error of those in a row
	last   int            // the place that has failed last
}

// Note notes a failure of a place, after it has failed so often in a row (Pool.Failures).
func (t *Trouble) Note(place, failures int, what string) {
	if t.firsts == nil {
		t.firsts = map[int]string{}
	}
	if failures <= 1 { // of what came before, a worker has recovered
		t.firsts[place] = what
	}
	t.last = place
}

// First is the first error of the place that has failed last.
func (t *Trouble) First() string { return t.firsts[t.last] }
