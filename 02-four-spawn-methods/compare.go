package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"
)

// tooMuch is more than the 1 MiB that exec and execFile keep.
const tooMuch = 2 << 20

// deadline is how long a child that does not end by itself may run.
const deadline = 200 * time.Millisecond

// row is one case that each method is tried on, and what the table shows of the outcome.
type row struct {
	label  string
	file   string   // "" is this program as the child
	args   []string // of the child
	opts   Options
	limit  time.Duration // a deadline, if not 0
	abort  time.Duration // when the caller cancels, if not 0
	prints bool          // the child must have printed something by the deadline
	show   func(outcome) string
}

var rows = []row{
	{label: "$((6*7)) arrives as", args: []string{"say", "$((6*7))"}, show: argument},
	{label: "the channel", args: []string{"say"}, show: channel},
	{label: "output at, end at", args: []string{"talk"}, show: times},
	{label: "missing program", file: "/no/such/program", show: howItEnded},
	{label: "not executable", file: "/etc/passwd", show: howItEnded},
	{label: "missing directory", args: []string{"say"}, opts: Options{Dir: "/no/such/directory"}, show: howItEnded},
	{label: "exit 3", args: []string{"exit", "3"}, show: howItEnded},
	{label: "kill -9", args: []string{"be-killed"}, show: howItEnded},
	{label: "a deadline", args: []string{"linger"}, limit: deadline, show: howItEnded},
	{label: "its grandchild", args: []string{"start-child"}, limit: deadline, prints: true, show: grandchild},
	{label: "canceled", args: []string{"linger"}, abort: deadline, show: howItEnded},
	{label: "2 MiB of output", args: []string{"flood", fmt.Sprint(tooMuch)}, show: amount},
}

// compare tries all methods on all cases, and prints the outcomes as a table.
func compare(ctx context.Context, out io.Writer, self string) error {
	line := func(label string, cells [4]string) {
		text := fmt.Sprintf("%-20s", label)
		for _, cell := range cells {
			text += fmt.Sprintf(" %-14s", cell)
		}
		fmt.Fprintln(out, strings.TrimRight(text, " "))
	}
	var cells [4]string
	for i, m := range methods {
		cells[i] = m.name
	}
	line("", cells)
	for _, r := range rows {
		for i, m := range methods {
			cells[i] = r.show(r.try(ctx, m, self))
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		line(r.label, cells)
	}
	return nil
}

// try tries one method on the case. If a child that must print has not done so by its deadline,
// because the machine is busy, it gets more time.
func (r row) try(ctx context.Context, m method, self string) (o outcome) {
	for limit := r.limit; ; limit *= 2 {
		o = r.tryOnce(ctx, m, self, limit)
		silent := len(o.stdout) == 0 && len(o.messages) == 0
		if !r.prints || !silent || !errors.Is(o.err, context.DeadlineExceeded) {
			return o
		}
	}
}

func (r row) tryOnce(ctx context.Context, m method, self string, limit time.Duration) outcome {
	ctx, cancel := limited(ctx, limit, r.abort)
	defer cancel()
	if r.file != "" {
		return m.try(ctx, r.opts, r.file)
	}
	if m.name == "exec" {
		self = Quote(self) // the path may contain a blank
	}
	return m.try(ctx, r.opts, self, append([]string{"child"}, r.args...)...)
}

// decode stores the child's first line or message in v.
func (o outcome) decode(v any) error {
	first, _, _ := strings.Cut(string(o.stdout), "\n")
	if len(o.messages) > 0 {
		first = string(o.messages[0])
	}
	return json.Unmarshal([]byte(first), v)
}

// The functions below show an outcome in a cell of the table.

func argument(o outcome) string {
	var child introduction
	if err := o.decode(&child); err != nil {
		return howItEnded(o)
	}
	return strings.Join(child.Args, " ")
}

func channel(o outcome) string {
	var child introduction
	switch err := o.decode(&child); {
	case err != nil:
		return howItEnded(o)
	case child.Channel == "":
		return "none"
	}
	return "descriptor " + child.Channel
}

func times(o outcome) string {
	return fmt.Sprintf("%d, %d ms", o.first.Milliseconds(), o.last.Milliseconds())
}

func howItEnded(o outcome) string {
	end := endOf(o.err)
	switch {
	case errors.Is(o.err, ErrMaxBuffer):
		return "ErrMaxBuffer"
	case errors.Is(o.err, context.Canceled):
		return "Canceled"
	case end.Error != "":
		return end.Error
	case end.Signal != nil && end.Killed:
		return *end.Signal + " by us"
	case end.Signal != nil:
		return *end.Signal
	}
	return fmt.Sprint("code ", *end.Code)
}

func amount(o outcome) string {
	if o.err != nil {
		return howItEnded(o)
	}
	bytes := len(o.stdout)
	for _, message := range o.messages {
		bytes += len(message) + len("\n")
	}
	return fmt.Sprint(bytes, " bytes")
}

// grandchild shows how long the method took, and whether the process that the child had
// started, and that held the output open, is gone.
func grandchild(o outcome) string {
	var pid int
	if err := o.decode(&pid); err != nil {
		return "there is none"
	}
	for tries := 0; alive(pid) && tries < 100; tries++ { // the signal takes a moment
		time.Sleep(10 * time.Millisecond)
	}
	state := "ended"
	if alive(pid) {
		state = "runs on"
	}
	return fmt.Sprintf("%s, %d ms", state, o.last.Milliseconds())
}

// alive reports whether a process runs. A zombie does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)) // missing on macOS, where init reaps at once
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z")
}
