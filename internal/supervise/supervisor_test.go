package supervise

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/restart"
)

// The first error must be the first of those in a row, of the slot that keeps failing. The
// end of a worker that was stable, or a failure of another slot, must not hide it.
func TestFirstErrorOfItsSlot(t *testing.T) {
	var events []Event
	s := New(Config{Notify: func(e Event) { events = append(events, e) }})
	s.pool = restart.New(restart.Default(2), 2, time.Now())
	later := time.Now().Add(time.Hour) // every pause is over
	s.pool.PopDue(later)
	s.pool.PopDue(later)
	s.pool.Ready(0, time.Now().Add(-restart.StableAfter))
	s.failed(0, restart.Killed, "it was killed")
	for _, what := range []string{"no database", "no database, of course"} {
		s.pool.PopDue(later)
		s.failed(0, restart.Crashed, what)
	}
	s.failed(1, restart.Killed, "the other one")
	for s.restarts == restart.On {
		s.pool.PopDue(later)
		s.pool.PopDue(later)
		s.failed(0, restart.Crashed, "and so on")
		s.notifyRestarts()
	}
	require.Contains(t, events[len(events)-1].String(), "the first error was: no database")
}
