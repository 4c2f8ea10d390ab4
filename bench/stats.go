package main

import "slices"

// summary is the median of several rounds, and their range.
type summary struct {
	Median, Min, Max float64
}

func summarize(values []float64) summary {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return summary{(sorted[(n-1)/2] + sorted[n/2]) / 2, sorted[0], sorted[n-1]}
}

// ratios divides round by round, because what else the machine does changes from round to round.
func ratios(values, of []float64) []float64 {
	quotients := make([]float64, min(len(values), len(of)))
	for i := range quotients {
		quotients[i] = values[i] / of[i]
	}
	return quotients
}
