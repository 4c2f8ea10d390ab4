package main

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// benchmark measures the rows, and prints them or writes the page.
func benchmark(ctx context.Context, o options) error {
	t := table{available(o.all), o.all}
	rows := t.rows(o.row)
	var results []result
	for begin := 0; begin < len(rows); {
		end := begin + 1
		for end < len(rows) && rows[end].with != "" && rows[end].with == rows[begin].with {
			end++
		}
		for i, r := range rows[begin:end] {
			fmt.Fprintf(os.Stderr, "%d of %d: %s\n", begin+i+1, len(rows), r.title.En)
		}
		measured := measureRows(ctx, rows[begin:end], o)
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		if o.row != nil {
			printResults(measured)
		}
		results = append(results, measured...)
		begin = end
	}
	if o.row != nil {
		return nil
	}
	return writePages(docsFolder, results, describeMachine(t.runtimes), o)
}

// printResults prints rows for a terminal.
func printResults(results []result) {
	for _, res := range results {
		v := res.view(english)
		fmt.Printf("%s, %s; goal %s: %s\n", v.Title, v.Unit, v.Goal, v.Verdict)
		for _, line := range v.Lines {
			fmt.Printf("  %-22s %10s  %-20s  ×%-6s  %s\n", line.Who, line.Median, line.Range, line.Ratio, line.RatioRange)
		}
	}
}
