package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"

	"playing-with-processes/05-cluster/cluster"
	"playing-with-processes/internal/program"
	"playing-with-processes/internal/visitors"
)

// summary is what the story comes to. What was lost before a worker had accepted it is
// an error.
func (s *story) summary(out io.Writer) error {
	met := []visitors.Tally{{Answered: s.turns}, s.crowd.Sofar(), s.patient.Sofar()}
	s.tellWorkers(out, met)
	lost := s.tellRungs(out, met)
	fmt.Fprintf(out, "The longest wait for a page that is not slow was %v.\n", program.Short(met[1].Longest))
	if lost > 0 {
		return fmt.Errorf("%d requests were lost before a worker had accepted them", lost)
	}
	return nil
}

// tellWorkers is the requests per worker.
func (s *story) tellWorkers(out io.Writer, met []visitors.Tally) {
	fmt.Fprintf(out, "\n%-9s %6s %9s  %s\n", "", "pid", "requests", "end")
	for _, e := range slices.SortedFunc(maps.Values(s.ends), func(a, b cluster.Exit) int {
		return cmp.Compare(a.Worker.ID(), b.Worker.ID())
	}) {
		end := e.Exit.String()
		if e.Why != "" {
			end += ", " + e.Why
		}
		answered := 0
		for _, tally := range met {
			answered += tally.Answered[name(e.Worker)]
		}
		fmt.Fprintf(out, "%-9v %6d %9d  %s\n", e.Worker, e.Worker.Pid(), answered, end)
	}
}

// tellRungs is the failures per rung of the ladder: where the connection was when
// something happened. It returns how many of them must not have been.
func (s *story) tellRungs(out io.Writer, met []visitors.Tally) (lost int) {
	visits, waiting, given, accepted, half := 0, s.reset, 0, -s.reset, 0
	for _, tally := range met {
		visits += tally.Visits()
		waiting += tally.Refused
		given += tally.Hung
		for _, cut := range tally.CutOff {
			if cut.Half {
				half++
			} else {
				accepted++
			}
		}
	}
	fmt.Fprintf(out, "\n%d requests, each on a new connection and none repeated; failed:\n", visits)
	for _, rung := range []struct {
		name   string
		failed int
		note   string
	}{
		{"L0, L1  in the kernel's queue", waiting, ""},
		{"L2      given to a worker, not accepted", given, fmt.Sprintf("  (%d came back from a dead worker, and were answered)", s.returned)},
		{"L3      accepted, nothing answered", accepted, ""},
		{"L4      half answered", half, ""},
	} {
		fmt.Fprintf(out, "%-39s %5d%s\n", rung.name, rung.failed, rung.note)
	}
	return waiting + given
}
