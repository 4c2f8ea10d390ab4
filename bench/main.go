// Command bench measures what the channel and the cluster cost.
//
// Usage: go run . [-rounds 9] [-figures round-trip,fork] [-against /path/to/another/bench]
//
// The machine is always a little busy, so a single figure says little. With -against,
// the program runs each figure in turn with a second binary, which another version of
// the project has built, and prints the median ratio and its range:
//
//	go build -o /tmp/new .                       # here
//	cd ../../older/bench && go build -o /tmp/old .
//	/tmp/new -against /tmp/old
//
// Read compare.go for how figures are compared, then channel.go and cluster.go for what
// each of them does. This is a module of its own, so that its needs stay out of go.mod.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"

	"playing-with-processes/05-cluster/cluster"
)

// figure is one quantity that a process of its own measures.
type figure struct {
	name    string
	unit    string
	pinned  bool // both ends run on one CPU
	measure func() (float64, error)
}

var figures = []figure{
	{"round-trip-1cpu", "µs", true, roundTrip},
	{"round-trip", "µs", false, roundTrip},
	{"one-way-20B", "messages/s", false, func() (float64, error) { return oneWay(1) }},
	{"one-way-20B-batches", "messages/s", false, func() (float64, error) { return oneWay(64) }},
	{"handles", "handles/s", false, handles},
	{"fork", "ms", false, forkToFirstMessage},
	{"cluster-rr", "requests/s", false, clusterRoundRobin},
}

// roles are what a process that this program has started does.
var roles = map[string]func() error{
	"measure": measure,
	"echo":    echo,
	"count":   count,
	"greet":   greet,
	"take":    take,
	"load":    load,
}

func main() {
	run := compare
	switch {
	case !cluster.IsPrimary():
		run = serve
	case len(os.Args) > 1 && roles[os.Args[1]] != nil:
		run = roles[os.Args[1]]
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// measure prints one figure: bench measure NAME.
func measure() error {
	f, err := named(os.Args[2])
	if err != nil {
		return err
	}
	value, err := f.measure()
	if err == nil {
		fmt.Println(value)
	}
	return err
}

func named(name string) (figure, error) {
	i := slices.IndexFunc(figures, func(f figure) bool { return f.name == name })
	if i < 0 {
		return figure{}, fmt.Errorf("figure %q: there are %s", name, names())
	}
	return figures[i], nil
}

func names() string {
	var all []string
	for _, f := range figures {
		all = append(all, f.name)
	}
	return strings.Join(all, ",")
}

// options are the flags of a comparison.
type options struct {
	rounds  int
	against string
	figures []figure
}

func parse() (o options, err error) {
	wanted := flag.String("figures", names(), "what to measure, separated by commas")
	flag.IntVar(&o.rounds, "rounds", 9, "how often each figure is measured")
	flag.StringVar(&o.against, "against", "", "the bench of another version, to take turns with")
	flag.Parse()
	for name := range strings.SplitSeq(*wanted, ",") {
		f, err := named(name)
		if err != nil {
			return o, err
		}
		o.figures = append(o.figures, f)
	}
	if o.rounds < 1 {
		return o, fmt.Errorf("-rounds %d: it must be at least 1", o.rounds)
	}
	return o, nil
}
