// Command bench measures what the channel and the cluster cost, beside Node, Bun and the bare
// system calls. It is a module of its own, so that its needs stay out of go.mod.
//
// Usage: make bench, or in this folder, after go build -o bin/ ./...
//
//	bin/bench [-rounds 5] [-time 300ms] [-all]     writes docs/benchmarks.md and its plots
//	bin/bench -row 'one way'                       prints the rows that match
//	bin/bench measure roundtrip                    one measurement
//
// A measurement is a command that prints one number: this program, or a script of node/. So
// each can be run by hand, and nothing else knows what it measures.
//
// rows.go is the table of what is measured, and notes.go explains its rows. Read contenders.go,
// run.go and stats.go next, which run the table. view.go prepares the figures for page.go, which
// writes the page with machine.go, and for plot.go and sweep.go, which draw the plots. channel.go,
// handles.go and fork.go have the measurements of the channel, for repeat.go to time, with the
// children in childroles.go; floor_linux.go has the same in bare system calls. requests_linux.go
// and kills_linux.go have those of the cluster, with server.go and load_linux.go. child, server
// and prefork are the programs that are measured.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"
)

// measurements are what this program measures: bench measure NAME.
var measurements = map[string]func(args []string) (float64, error){
	"roundtrip":  roundTrip,
	"oneway":     oneWay,
	"handles":    handles,
	"fork":       forkToMessage,
	"goroutines": goroutines,
	"floor":      floor,
	"requests":   requests,
	"even":       even,
	"replace":    replace,
	"kills":      kills,
	"memory":     memory,
}

// roles are what this program does as a child of a measurement: bench role NAME.
var roles = map[string]func(args []string) error{
	"echo":  echo,
	"count": count,
	"take":  take,
	"floor": floorChild,
}

// options are the command line.
type options struct {
	rounds int
	time   time.Duration
	row    *regexp.Regexp
	all    bool
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) > 1 {
		switch args[0] {
		case "measure":
			return printMeasurement(args[1], args[2:])
		case "role":
			return runRole(args[1], args[2:])
		}
	}
	o, err := parse(args)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return benchmark(ctx, o)
}

func parse(args []string) (o options, err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.IntVar(&o.rounds, "rounds", 5, "how often each contender is measured")
	flags.DurationVar(&o.time, "time", 300*time.Millisecond, "how long a measurement takes, without the warm-up")
	row := flags.String("row", "", "measure the rows with a title that matches this `regexp`, and write no page")
	flags.BoolVar(&o.all, "all", false, "more contenders, and 1 to 16 workers")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 || o.rounds < 1 || o.time <= 0 {
		return o, fmt.Errorf("wrong arguments %q; see bench -h", args)
	}
	if *row != "" {
		o.row, err = regexp.Compile(*row)
	}
	return o, err
}

func printMeasurement(name string, args []string) error {
	measure, found := measurements[name]
	if !found {
		return fmt.Errorf("there is no measurement %q", name)
	}
	value, err := measure(args)
	if err == nil {
		fmt.Println(value)
	}
	return err
}

func runRole(name string, args []string) error {
	role, found := roles[name]
	if !found {
		return fmt.Errorf("there is no role %q", name)
	}
	return role(args)
}
