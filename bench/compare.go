package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// compare measures each figure in rounds, and takes turns with the other binary if there
// is one. Each measurement runs in a fresh process.
func compare() error {
	o, err := parse()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for _, f := range o.figures {
		var ours, ratios []float64
		for range o.rounds {
			value, err := f.run(self)
			if err != nil {
				return err
			}
			ours = append(ours, value)
			if o.against == "" {
				continue
			}
			other, err := f.run(o.against)
			if err != nil {
				return err
			}
			ratios = append(ratios, value/other)
		}
		fmt.Println(f.line(ours, ratios))
	}
	return nil
}

// run has binary measure the figure.
func (f figure) run(binary string) (float64, error) {
	cmd := exec.Command(binary, "measure", f.name)
	cmd.Stderr = os.Stderr
	output := cmd.Output
	if f.pinned {
		output = func() ([]byte, error) { return pinnedOutput(cmd) }
	}
	text, err := output()
	if err != nil {
		return 0, fmt.Errorf("%s measure %s: %w", binary, f.name, err)
	}
	return strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
}

func (f figure) line(values, ratios []float64) string {
	text := fmt.Sprintf("%-20s %10.1f %-10s", f.name, median(values), f.unit)
	if len(ratios) == 0 {
		return text
	}
	return fmt.Sprintf("%s  this/other %.2f (%.2f to %.2f)", text, median(ratios), slices.Min(ratios), slices.Max(ratios))
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}
