package main

import (
	"fmt"
	"html/template"
	"math"
	"os"
	"path/filepath"
)

// plotView is what the templates of the plots show.
type plotView struct {
	Width, Height      int
	Top, Bottom, Right int
	Title              string
	Legend             []mark
	X, Y               []tick
	Bands              []band
	Lines              []plotLine
}

// mark is a contender's figure, with a line over its range.
type mark struct {
	Class, Name string
	X, Y        int
	From, To    int
}

type tick struct {
	At    int
	Label string
}

// band is a row of the plot: a line for each contender.
type band struct {
	Title             string
	Y, Height, Middle int
	Goal              int // 0 without a goal
	Marks             []mark
}

const (
	plotWidth  = 860
	plotLeft   = 330 // where the axis begins; on its left are the titles
	plotRight  = plotWidth - 20
	plotTop    = 88
	lineHeight = 11
	bandGap    = 12
)

// writePlots writes the plots in one language.
func writePlots(folder, suffix string, in language, results []result) error {
	names := map[string][]string{"channel": {"channel"}, "cluster": {"process", "cluster"}}
	for name, groups := range names {
		if err := writePlot(folder, "dots.svg", name+suffix, dots(in, chosen(results, groups...))); err != nil {
			return err
		}
	}
	sweep := chosen(results, "sweep")
	if len(sweep) == 0 { // the page does not show the plot of an earlier run
		os.Remove(plotFile(folder, "workers"+suffix))
		return nil
	}
	return writePlot(folder, "lines.svg", "workers"+suffix, lines(in, sweep))
}

func writePlot(folder, templateName, name string, view plotView) error {
	plot, err := template.ParseFS(templates, "templates/"+templateName, "templates/style.svg")
	if err != nil {
		return err
	}
	file, err := os.Create(plotFile(folder, name))
	if err != nil {
		return err
	}
	defer file.Close()
	return plot.Execute(file, view)
}

func plotFile(folder, name string) string { return filepath.Join(folder, "benchmarks-"+name+".svg") }

// chosen returns the rows of some groups that have a yardstick.
func chosen(results []result, groups ...string) (some []result) {
	for _, res := range results {
		for _, group := range groups {
			if res.group == group && res.yardstick() != "" {
				some = append(some, res)
			}
		}
	}
	return some
}

// axis is a logarithmic scale.
type axis struct{ low, high float64 } // powers of two

// factorAxis spans all factors.
func factorAxis(results []result) axis {
	a := axis{-1, 1}
	for _, res := range results {
		for _, n := range names {
			if f, ok := res.factor(n.who); ok {
				a.low, a.high = min(a.low, math.Log2(f.Min)), max(a.high, math.Log2(f.Max))
			}
		}
	}
	return axis{math.Floor(a.low), math.Ceil(a.high)}
}

func (a axis) at(v float64) int {
	return plotLeft + int(math.Round((math.Log2(v)-a.low)/(a.high-a.low)*(plotRight-plotLeft)))
}

// ticks are the powers of two, or of four if there are many.
func (a axis) ticks() (all []tick) {
	step := 1 + math.Floor((a.high-a.low)/9)
	for power := math.Ceil(a.low/step) * step; power <= a.high; power += step {
		v := math.Pow(2, power)
		label := fmt.Sprintf("%g×", v)
		if v < 1 {
			label = fmt.Sprintf("1/%g", 1/v)
		}
		all = append(all, tick{a.at(v), label})
	}
	return all
}

// factor is how many times better than the yardstick a contender is.
//
// Goroutines have none: they would take half of the plot.
func (res result) factor(who string) (s summary, ok bool) {
	if who == "goroutines" {
		return s, false
	}
	s, ok = res.ratio(who)
	if !ok || res.absolute || !(s.Min > 0) || math.IsInf(s.Max, 1) {
		return s, false
	}
	if !res.larger {
		s = summary{1 / s.Median, 1 / s.Max, 1 / s.Min}
	}
	return s, true
}

// dots draws a band for each row, with the factor of each contender.
func dots(in language, results []result) plotView {
	a := factorAxis(results)
	v := plotView{Width: plotWidth, Right: plotRight, Top: plotTop, X: a.ticks()}
	y, shown := v.Top+bandGap, map[string]bool{"goal": true}
	for _, res := range results {
		b := band{Title: in(res.title), Y: y - bandGap/3}
		for _, n := range names {
			if f, ok := res.factor(n.who); ok && n.who != res.yardstick() {
				shown[n.who] = true
				b.Marks = append(b.Marks, mark{Class: n.who, X: a.at(f.Median), Y: y + lineHeight/2, From: a.at(f.Min), To: a.at(f.Max)})
				y += lineHeight
			}
		}
		if len(b.Marks) == 0 {
			continue
		}
		if goal := res.goal; goal > 0 && !res.larger {
			b.Goal = a.at(1 / goal)
		} else if goal > 0 {
			b.Goal = a.at(goal)
		}
		b.Height = y - b.Y + bandGap/3
		b.Middle = b.Y + b.Height/2
		v.Bands = append(v.Bands, b)
		y += bandGap
	}
	if len(results) > 0 {
		yardstick := in(nameOf(results[0].yardstick()))
		v.Title = in(text{"times better than " + yardstick, "相对 " + yardstick + " 的倍数，越大越好"})
	}
	v.Bottom, v.Height = y, y+12
	v.Legend = legend(in, shown)
	return v
}

// legend names the contenders that a plot shows, in two lines if necessary.
func legend(in language, shown map[string]bool) (all []mark) {
	x, y := 24, 44
	add := func(class, name string) {
		if x+width(name) > plotRight {
			x, y = 24, y+18
		}
		all = append(all, mark{Class: class, Name: name, X: x, Y: y})
		x += 30 + width(name)
	}
	for _, n := range names {
		if shown[n.who] {
			add(n.who, in(n.name))
		}
	}
	if shown["goal"] {
		add("goal", in(text{"goal", "目标"}))
	}
	return all
}

// width is about how wide a text is. Chinese characters are twice as wide.
func width(text string) (pixels int) {
	for _, r := range text {
		pixels += 7
		if r > 0x2e80 {
			pixels += 5
		}
	}
	return pixels
}
