package main

import (
	"fmt"
	"math"
	"strings"
)

// plotLine is a contender over the numbers of workers.
type plotLine struct {
	Class  string
	Points string // of a polyline
	Marks  []mark
}

const (
	sweepLeft   = 80
	sweepTop    = plotTop
	sweepHeight = 320
)

// lines draws the requests per second over the number of workers.
func lines(in language, results []result) plotView {
	bottom := sweepTop + sweepHeight
	v := plotView{
		Width: plotWidth, Height: bottom + 46, Top: sweepTop, Bottom: bottom, Right: plotRight,
		Title: in(text{"requests per second, by the number of workers", "每秒请求数，按工作进程数"}),
	}
	step := roundStep(most(results) / 5)
	y := func(rate float64) int { return bottom - int(math.Round(rate/(5*step)*sweepHeight)) }
	for i := range 6 {
		rate := step * float64(i)
		v.Y = append(v.Y, tick{y(rate), fmt.Sprint(rate)})
	}
	x := func(i int) int { return sweepLeft + 30 + i*(plotRight-sweepLeft-60)/max(1, len(results)-1) }
	for i, res := range results {
		v.X = append(v.X, tick{x(i), fmt.Sprint(res.workers)})
	}
	shown := map[string]bool{}
	for _, n := range names {
		line := plotLine{Class: n.who}
		var points []string
		for i, res := range results {
			if values := res.values[n.who]; len(values) > 0 {
				s := summarize(values)
				line.Marks = append(line.Marks, mark{X: x(i), Y: y(s.Median), From: y(s.Min), To: y(s.Max)})
				points = append(points, fmt.Sprintf("%d,%d", x(i), y(s.Median)))
			}
		}
		if line.Points = strings.Join(points, " "); len(points) > 0 {
			shown[n.who] = true
			v.Lines = append(v.Lines, line)
		}
	}
	v.Legend = legend(in, shown)
	return v
}

// most returns the largest figure.
func most(results []result) (rate float64) {
	for _, res := range results {
		for _, values := range res.values {
			rate = max(rate, summarize(values).Max)
		}
	}
	return rate
}

// roundStep returns the smallest of 1, 2, 2.5 and 5 times a power of ten that is not less.
func roundStep(least float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(least)))
	for _, digit := range []float64{1, 2, 2.5, 5} {
		if digit*unit >= least {
			return digit * unit
		}
	}
	return 10 * unit
}
