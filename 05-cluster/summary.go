package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"

	"playing-with-processes/05-cluster/cluster"
	"playing-with-processes/internal/cli"
	"playing-with-processes/internal/demo"
)

// summary sums up the story. A request that was lost before a worker had accepted it is an
// error.
func (s *story) summary(out io.Writer) error {
	stats := s.clients.Snapshot()
	s.showWorkers(out, stats)
	lost := s.showRungs(out, stats)
	fmt.Fprintf(out, "The longest wait for a page that is not slow was %v.\n", cli.FormatDuration(stats.Longest))
	if lost > 0 {
		return fmt.Errorf("%d requests were lost before a worker had accepted them", lost)
	}
	return nil
}

// showWorkers shows the requests and the end of each worker.
func (s *story) showWorkers(out io.Writer, stats demo.Stats) {
	fmt.Fprintf(out, "\n%-9s %6s %9s  %s\n", "", "pid", "requests", "end")
	for _, e := range slices.SortedFunc(maps.Values(s.ended), func(a, b cluster.Exit) int {
		return cmp.Compare(a.Worker.ID(), b.Worker.ID())
	}) {
		end := e.Exit.String()
		if e.Why != "" {
			end += ", " + e.Why
		}
		fmt.Fprintf(out, "%-9v %6d %9d  %s\n", e.Worker, e.Worker.Pid(), stats.Answered[answerOf(e.Worker)], end)
	}
}

// showRungs shows the failures by rung of the ladder: how far the connection had come. It
// returns how many there were on the rungs that must not lose any.
func (s *story) showRungs(out io.Writer, stats demo.Stats) (lost int) {
	queued, given, accepted, partial := stats.Refused+s.reset, stats.Hung, -s.reset, 0
	for _, failure := range stats.Failures {
		if failure.Partial {
			partial++
		} else {
			accepted++
		}
	}
	fmt.Fprintf(out, "\n%d requests, each on a new connection and none repeated; failed:\n", stats.Requests())
	for _, rung := range []struct {
		name   string
		failed int
		note   string
	}{
		{"L0, L1  in the kernel's queue", queued, ""},
		{"L2      given to a worker, not accepted", given, fmt.Sprintf("  (%d came back from a dead worker, and were answered)", s.returned)},
		{"L3      accepted, nothing answered", accepted, ""},
		{"L4      partly answered", partial, ""},
	} {
		fmt.Fprintf(out, "%-39s %5d%s\n", rung.name, rung.failed, rung.note)
	}
	return queued + given
}
