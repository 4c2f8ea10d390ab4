package main

import (
	"slices"
	"testing"
)

func TestSummarize(t *testing.T) {
	if got, want := summarize([]float64{5, 1, 3}), (summary{3, 1, 5}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := summarize([]float64{4, 1, 2, 3}), (summary{2.5, 1, 4}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A round in which the machine is busy with something else must not distort the ratio.
func TestRatios(t *testing.T) {
	if got, want := ratios([]float64{1, 20, 3}, []float64{2, 40, 6}), []float64{0.5, 0.5, 0.5}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// The yardstick is Node 26, and the Node on PATH where that is absent.
func TestYardstick(t *testing.T) {
	res := result{values: map[string][]float64{"go": {3}, "node": {6}}}
	if ratio, _ := res.ratio("go"); ratio.Median != 0.5 {
		t.Errorf("got %v", ratio)
	}
	res.values["node26"] = []float64{1}
	if ratio, _ := res.ratio("go"); ratio.Median != 3 {
		t.Errorf("got %v", ratio)
	}
	if _, ok := res.ratio("bun"); ok {
		t.Error("an absent contender has a ratio")
	}
}
