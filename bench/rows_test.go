package main

import (
	"slices"
	"testing"
	"time"
)

// Each contender of this project must print a number, also if it has little time.
func TestMeasurements(t *testing.T) {
	ran := map[string]bool{}
	for _, r := range (table{all: true}).rows(nil) {
		for _, c := range r.contenders {
			t.Run(r.title.En+"/"+c.who, func(t *testing.T) {
				command := c.command
				if r.once { // it kills one worker instead of 20
					command = slices.Insert(slices.Clone(command), 3, "-n", "1")
				}
				value, err := contender{c.who, command}.measure(t.Context(), 5*time.Millisecond)
				if err != nil {
					t.Fatal(err)
				}
				if value < 0 || value == 0 && !r.absolute {
					t.Errorf("measured %v", value)
				}
			})
			ran[c.who] = true
		}
	}
	for _, who := range []string{"go", "floor", "none", "single", "reuseport", "prefork"} {
		if !ran[who] {
			t.Errorf("no row has %s", who)
		}
	}
}

// A note must belong to a row.
func TestNotes(t *testing.T) {
	for title := range notes {
		if !slices.ContainsFunc((table{}).rows(nil), func(r row) bool { return r.title.En == title }) {
			t.Errorf("there is no row %q", title)
		}
	}
}

// Every contender of a row must have a name.
func TestNames(t *testing.T) {
	everything := table{runtimes(), true}
	for _, r := range everything.rows(nil) {
		for _, c := range r.contenders {
			if nameOf(c.who).En == "" {
				t.Errorf("%s: %q has no name", r.title.En, c.who)
			}
		}
	}
}
