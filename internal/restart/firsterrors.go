package restart

// FirstErrors remembers the error that each series of failures began with, which the
// errors that follow from it would hide. The zero value is ready to use. Its methods are
// for one goroutine at a time.
type FirstErrors struct {
	bySlot map[int]string
	last   int // the slot that failed last
}

// Record notes a failure in a slot, the nth in a row as Pool.Failures counts them.
func (f *FirstErrors) Record(slot, nth int, what string) {
	if f.bySlot == nil {
		f.bySlot = map[int]string{}
	}
	if nth <= 1 { // the slot had recovered from what came before
		f.bySlot[slot] = what
	}
	f.last = slot
}

// Latest returns the first error of the slot that failed last.
func (f *FirstErrors) Latest() string { return f.bySlot[f.last] }
