package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// language chooses a text.
type language func(t text) string

func english(t text) string { return t.En }
func chinese(t text) string { return t.Zh }

// pageView is what the templates of the page show, in one language.
type pageView struct {
	In        language
	Machine   machine
	Rounds    int
	Time      string
	Yardstick string // the name of the contender to which the others are compared
	Rows      []rowView
	Sweep     bool
}

// rowView is a row of the page.
type rowView struct {
	Title, Unit, Group string
	Goal, Verdict      string
	Bound, Note        string
	Rounds             int
	Go, Node, Bun      lineView
	Lines              []lineView
}

// lineView is a contender of a row.
type lineView struct {
	Who                              string
	Median, Range, Ratio, RatioRange string
}

// view returns a row in a language.
func (res result) view(in language) rowView {
	v := rowView{
		Title: in(res.title), Unit: in(res.unit), Group: res.group,
		Goal: res.goalText(in), Verdict: in(res.verdict()), Bound: in(res.bound), Note: in(notes[res.title.En]),
	}
	empty := lineView{Median: "–", Range: "–", Ratio: "–", RatioRange: "–"}
	v.Go, v.Node, v.Bun = empty, empty, empty
	for _, n := range names {
		values := res.values[n.who]
		if len(values) == 0 {
			continue
		}
		v.Rounds = max(v.Rounds, len(values))
		line := empty
		s := summarize(values)
		line.Who, line.Median, line.Range = in(n.name), figure(s.Median), span(s, figure)
		if ratio, ok := res.ratio(n.who); ok {
			line.Ratio, line.RatioRange = twoDigits(ratio.Median), span(ratio, twoDigits)
		}
		v.Lines = append(v.Lines, line)
		switch n.who {
		case "go":
			v.Go = line
		case res.yardstick():
			v.Node = line
		case "bun":
			v.Bun = line
		}
	}
	return v
}

// goalText is the goal. It has a unit if it is for the figure itself.
func (res result) goalText(in language) string {
	sign := "≤"
	if res.larger {
		sign = "≥"
	}
	switch {
	case res.group == "sweep":
		return "–"
	case res.absolute:
		return fmt.Sprintf("%s %g %s", sign, res.goal, in(res.unit))
	}
	return fmt.Sprintf("%s %g", sign, res.goal)
}

// verdict says whether this project reaches the goal, and otherwise by how much it misses.
func (res result) verdict() text {
	s, ok := res.judged()
	switch {
	case !ok || math.IsNaN(s.Median) || res.group == "sweep":
		return text{"–", "–"}
	case res.met():
		return text{"reached", "达到"}
	case res.goal == 0:
		return text{"missed", "未达到"}
	}
	by := fmt.Sprintf("%.0f", 100*math.Abs(s.Median/res.goal-1))
	return text{"missed by " + by + " %", "未达到，差 " + by + "%"}
}

// span is the range of a summary.
func span(s summary, format func(float64) string) string {
	return format(s.Min) + "–" + format(s.Max)
}

func twoDigits(v float64) string {
	if v >= 100 || v != v || math.IsInf(v, 0) {
		return figure(v)
	}
	return fmt.Sprintf("%.2f", v)
}

// figure returns three significant digits, with a comma between thousands.
func figure(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "–"
	}
	if v == 0 {
		return "0"
	}
	if v < 1000 {
		return strconv.FormatFloat(v, 'f', max(0, 2-int(math.Floor(math.Log10(max(v, 0.1))))), 64)
	}
	unit := math.Pow(10, math.Floor(math.Log10(v))-2)
	digits := strconv.FormatFloat(math.Round(v/unit)*unit, 'f', 0, 64)
	var groups []string
	for ; len(digits) > 3; digits = digits[:len(digits)-3] {
		groups = append([]string{digits[len(digits)-3:]}, groups...)
	}
	return strings.Join(append([]string{digits}, groups...), ",")
}
