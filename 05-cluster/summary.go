package main

import (
	"cmp"
	"fmt"
	"io"
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
	fmt.Fprintf(out, "\n%-14s %9s  %s\n", "", "requests", "end")
	slices.SortFunc(s.exits, func(a, b cluster.Exit) int { return cmp.Compare(a.Worker.ID(), b.Worker.ID()) })
	for _, e := range s.exits {
		end := e.Exit.String()
		if e.Why != "" {
			end += ", " + e.Why
		}
		requests := "?"
		if s.named {
			requests = fmt.Sprint(stats.Answered[e.Worker.String()])
		}
		fmt.Fprintf(out, "%-14v %9s  %s\n", e.Worker, requests, end)
	}
}

// showRungs shows the failures by rung of the ladder: how far the connection had come. It
// returns how many there were on the rungs that must not lose any.
func (s *story) showRungs(out io.Writer, stats demo.Stats) (lost int) {
	queued, given, partial := stats.Refused+s.reset, stats.Hung, 0
	for _, failure := range stats.Failures {
		if failure.Begun {
			partial++
		}
	}
	accepted := len(stats.Failures) - partial - s.reset // a reset connection has failed, too
	fmt.Fprintf(out, "\n%d requests, each on a new connection and none repeated; failed:\n", stats.Requests())
	fmt.Fprintf(out, "L0, L1  in the kernel's queue           %5d\n", queued)
	fmt.Fprintf(out, "L2      given to a worker, not accepted %5d  (%d came back from a dead worker, and were answered)\n",
		given, s.returned)
	fmt.Fprintf(out, "L3      accepted, nothing answered      %5d\n", accepted)
	fmt.Fprintf(out, "L4      partly answered                 %5d\n", partial)
	return queued + given
}
