package main

import (
	"context"
	"fmt"
	"os"
)

// benchmark measures the rows, and prints them or writes the page.
func benchmark(ctx context.Context, o options) error {
	t := table{available(o.all), o.all}
	var results []result
	for _, r := range t.rows() {
		if o.row != nil && !o.row.MatchString(r.title.En) {
			continue
		}
		fmt.Fprintf(os.Stderr, "%s\n", r.title.En)
		res := measureRow(ctx, r, o)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		results = append(results, res)
		if o.row != nil {
			printResult(res)
		}
	}
	return nil
}

func printResult(res result) {
	fmt.Printf("%s (%s), goal %v\n", res.title.En, res.unit.En, res.goal)
	for _, n := range names {
		if values := res.values[n.who]; len(values) > 0 {
			s := summarize(values)
			line := fmt.Sprintf("  %-22s %10.4g  (%.4g to %.4g)", n.name.En, s.Median, s.Min, s.Max)
			if ratio, ok := res.ratio(n.who); ok {
				line += fmt.Sprintf("   ×%.2f (%.2f to %.2f)", ratio.Median, ratio.Min, ratio.Max)
			}
			fmt.Println(line)
		}
	}
}
