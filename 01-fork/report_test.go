package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var verdictTests = []struct {
	name                         string
	n, gomaxprocs, cpus          int
	alone, goroutines, processes result
	want                         string
}{
	{"two idle CPUs", 2, 2, 2,
		took("1 goroutine", 1000, 1000), took("2 goroutines", 500, 1000), took("2 processes", 520, 1010),
		"2 goroutines were 2.00 times as fast as 1 goroutine, 2 processes 1.92 times.\n"},
	{"busy CPUs", 2, 2, 2,
		took("1 goroutine", 1000, 1000), took("2 goroutines", 900, 1000), took("2 processes", 920, 1010),
		"2 goroutines were 1.11 times as fast as 1 goroutine, 2 processes 1.09 times.\n" +
			"2 goroutines had 1.11 of 2 CPUs: other programs, or a limit, took the rest.\n" +
			"2 processes had 1.10 of 2 CPUs: other programs, or a limit, took the rest.\n"},
	{"busy from the start", 2, 2, 2,
		took("1 goroutine", 2000, 1000), took("2 goroutines", 500, 1000), took("2 processes", 500, 1000),
		"2 goroutines were 4.00 times as fast as 1 goroutine, 2 processes 4.00 times.\n" +
			"1 goroutine had 0.50 of 1 CPU: other programs, or a limit, took the rest.\n"},
	{"one CPU, two workers", 2, 1, 1,
		took("1 goroutine", 1000, 1000), took("2 goroutines", 1000, 1000), took("2 processes", 1040, 1010),
		"2 goroutines were 1.00 times as fast as 1 goroutine, 2 processes 0.96 times.\n" +
			"Only one CPU is allowed here: more workers take turns on it.\n"},
	{"one CPU, one worker", 1, 1, 1,
		took("1 goroutine", 1000, 1000), took("1 goroutine", 1000, 1000), took("1 process", 1010, 1000),
		"Only one CPU is allowed here: more workers take turns on it.\n"},
	{"one worker of two", 1, 2, 2,
		took("1 goroutine", 1000, 1000), took("1 goroutine", 1000, 1000), took("1 process", 1010, 1000),
		"There are 2 CPUs, and one worker uses one of them.\n"},
	{"more workers than CPUs", 8, 2, 2,
		took("1 goroutine", 1000, 1000), took("8 goroutines", 500, 1000), took("8 processes", 520, 1010),
		"8 goroutines were 2.00 times as fast as 1 goroutine, 8 processes 1.92 times.\n" +
			"Only 2 CPUs are allowed here: more workers take turns on them.\n"},
	{"GOMAXPROCS is 1 of 2", 2, 1, 2,
		took("1 goroutine", 1000, 1000), took("2 goroutines", 1000, 1000), took("2 processes", 520, 1010),
		"2 goroutines were 1.00 times as fast as 1 goroutine, 2 processes 1.92 times.\n" +
			"GOMAXPROCS lets one Go process use only 1 of 2 CPUs.\n"},
	{"GOMAXPROCS is 8 of 2", 8, 8, 2,
		took("1 goroutine", 1000, 1000), took("8 goroutines", 500, 1000), took("8 processes", 520, 1010),
		"8 goroutines were 2.00 times as fast as 1 goroutine, 8 processes 1.92 times.\n" +
			"Only 2 CPUs are allowed here: more workers take turns on them.\n"},
	{"nothing to do", 2, 2, 2,
		took("1 goroutine", 1, 1), took("2 goroutines", 1, 1), took("2 processes", 20, 40),
		"The job is too small to compare: counting took less than starting.\n"},
	{"two halves of a core", 2, 2, 2,
		took("1 goroutine", 1000, 1000), took("2 goroutines", 700, 1400), took("2 processes", 720, 1440),
		"2 goroutines were 1.43 times as fast as 1 goroutine, 2 processes 1.39 times.\n" +
			"2 goroutines took 1.40 times the CPU time of 1 goroutine: a start costs some,\n" +
			"and CPUs that are two halves of one core slow each other down.\n" +
			"2 processes took 1.44 times the CPU time of 1 goroutine: a start costs some,\n" +
			"and CPUs that are two halves of one core slow each other down.\n"},
}

// took returns a result with these times, in milliseconds.
func took(name string, wall, cpu time.Duration) result {
	return result{name: name, wall: wall * time.Millisecond, cpu: cpu * time.Millisecond}
}

// The verdict must fit the figures: it must name the reason if one CPU, busy CPUs or slow
// starts have prevented a speed-up.
func TestVerdict(t *testing.T) {
	for _, test := range verdictTests {
		t.Run(test.name, func(t *testing.T) {
			require.Equal(t, test.want, verdict(test.n, test.gomaxprocs, test.cpus, test.alone, test.goroutines, test.processes))
		})
	}
}
