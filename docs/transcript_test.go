package docs

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"strings"
)

// A transcript is what commands print. Several processes print at the same time, so the lines of
// each process are compared in their order, and not how they mix. Process ids and ports differ
// from run to run: a number of three digits or more stands for another one, and always for the
// same.

var (
	label  = regexp.MustCompile(`^\[(\w+) (\d+)\]`)
	number = regexp.MustCompile(`\d\d:\d\d:\d\d\.\d+|\d+(\.\d+)?`)
	unit   = regexp.MustCompile(`#(%| ?([µm]?s|[KM]iB)\b)?`)
	spaces = regexp.MustCompile(` +|-{2,}`)
)

const elision = "…"

// comparison compares what a page shows with what was printed.
type comparison struct {
	varies   bool // figures differ, and there may be lines that the page does not show
	complete bool // nothing more will be printed
	real     map[string]string
	shown    map[string]string // the inverse of real
}

// compare returns a difference, or "".
func (c *comparison) compare(shown, printed []string) string {
	c.real, c.shown = map[string]string{}, map[string]string{}
	pageLabels, page := byProcess(shown)
	labels, output := byProcess(printed)
	for _, l := range pageLabels {
		if difference := c.comparePage(l, page[l], labels, output); difference != "" {
			return difference
		}
	}
	return ""
}

// comparePage compares what a process of the page has printed with the output of the process
// that it stands for: the first in the same role that has printed the same.
func (c *comparison) comparePage(l string, lines, labels []string, output map[string][]string) (difference string) {
	difference = c.compareProcess(lines, nil)
	for _, candidate := range labels {
		before := *c
		c.real, c.shown = maps.Clone(c.real), maps.Clone(c.shown)
		if c.sameLabel(l, candidate) {
			if difference = c.compareProcess(lines, output[candidate]); difference == "" {
				return ""
			}
		}
		*c = before
	}
	return difference
}

// byProcess groups lines by what their first word in brackets says. An elision is in each group.
func byProcess(lines []string) (labels []string, groups map[string][]string) {
	groups = map[string][]string{}
	elided := false
	for _, line := range lines {
		if line == elision {
			elided = true
			for _, l := range labels {
				groups[l] = append(groups[l], elision)
			}
			continue
		}
		l := label.FindString(line)
		if groups[l] == nil {
			labels = append(labels, l)
			if elided {
				groups[l] = []string{elision}
			}
		}
		groups[l] = append(groups[l], line)
	}
	return labels, groups
}

// sameLabel reports whether a label of the page can stand for a printed one.
func (c *comparison) sameLabel(shown, printed string) bool {
	want, got := label.FindStringSubmatch(shown), label.FindStringSubmatch(printed)
	if want == nil || got == nil {
		return shown == printed
	}
	return want[1] == got[1] && c.same(want[2], got[2])
}

func (c *comparison) compareProcess(shown, printed []string) string {
	skip := c.varies
	for _, line := range shown {
		if line == elision {
			skip = true
			continue
		}
		for len(printed) > 0 && !c.match(line, printed[0]) {
			if !skip {
				return fmt.Sprintf("the page shows %q, and the command prints %q", line, printed[0])
			}
			printed = printed[1:]
		}
		if len(printed) == 0 {
			return fmt.Sprintf("the command does not print %q", line)
		}
		printed, skip = printed[1:], c.varies
	}
	if len(printed) > 0 && c.complete && !skip {
		return fmt.Sprintf("the command also prints %q", printed[0])
	}
	return ""
}

// match reports whether a printed line is the one of the page.
func (c *comparison) match(shown, printed string) bool {
	want, got := number.FindAllString(shown, -1), number.FindAllString(printed, -1)
	alike := len(want) == len(got)
	if c.varies {
		alike = alike && figures(shown) == figures(printed)
	} else {
		alike = alike && number.ReplaceAllString(shown, "#") == number.ReplaceAllString(printed, "#")
	}
	for i := 0; alike && i < len(want); i++ {
		alike = c.same(want[i], got[i]) || c.varies
	}
	return alike
}

// figures replaces the figures of a line, and the blanks that align them.
func figures(line string) string {
	return spaces.ReplaceAllString(unit.ReplaceAllString(number.ReplaceAllString(line, "#"), "#"), " ")
}

// same reports whether a number of the page can stand for a printed one, and from then on it
// does.
func (c *comparison) same(shown, printed string) bool {
	if min(len(shown), len(printed)) < 3 || strings.Contains(shown, ":") {
		return shown == printed || strings.Contains(shown, ":")
	}
	if c.real[shown] == "" && c.shown[printed] == "" {
		c.real[shown], c.shown[printed] = printed, shown
	}
	return c.real[shown] == printed
}

// renumber replaces the numbers that have another one.
func renumber(text string, other map[string]string) string {
	return number.ReplaceAllStringFunc(text, func(n string) string { return cmp.Or(other[n], n) })
}
