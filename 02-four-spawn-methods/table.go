package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"
)

// tooMuch is more than the 1 MiB that exec and execFile keep.
const tooMuch = 2 << 20

// deadline is what the children get that would not end by themselves.
const deadline = 200 * time.Millisecond

// A row is one case, that each method is put to, and what is shown of the outcome.
type row struct {
	label  string
	file   string   // this program as the child, if empty
	args   []string // with "child" in front, if so
	opts   Options
	limit  time.Duration // a deadline, if not 0
	abort  time.Duration // the same, but the caller cancels
	speaks bool          // the child must have said something by then
	show   func(outcome) string
}

var rows = []row{
	{label: "$((6*7)) arrives as", args: []string{"say", "$((6*7))"}, show: argument},
	{label: "the channel", args: []string{"say"}, show: channel},
	{label: "first output, end", args: []string{"talk"}, show: times},
	{label: "missing program", file: "/no/such/program", show: howItEnded},
	{label: "not executable", file: "/etc/passwd", show: howItEnded},
	{label: "missing directory", args: []string{"say"}, opts: Options{Dir: "/no/such/directory"}, show: howItEnded},
	{label: "exit 3", args: []string{"exit", "3"}, show: howItEnded},
	{label: "kill -9", args: []string{"be-killed"}, show: howItEnded},
	{label: "a deadline", args: []string{"linger"}, limit: deadline, show: howItEnded},
	{label: "its grandchild", args: []string{"bear"}, limit: deadline, speaks: true, show: grandchild},
	{label: "cancelled", args: []string{"linger"}, abort: deadline, show: howItEnded},
	{label: "2 MiB of output", args: []string{"flood", fmt.Sprint(tooMuch)}, show: amount},
}

// table puts all methods to all cases, and prints what came of it.
func table(ctx context.Context, out io.Writer, self string) error {
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

// try puts one method to the case. On a busy machine a child may not have said
// anything when its time is up, and gets more then if it should have.
func (r row) try(ctx context.Context, m method, self string) (o outcome) {
	for limit := r.limit; ; limit *= 2 {
		o = r.tryOnce(ctx, m, self, limit)
		silent := len(o.stdout) == 0 && len(o.messages) == 0
		if !r.speaks || !silent || !errors.Is(o.err, context.DeadlineExceeded) {
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
		self = Quote(self) // it may have a blank in it
	}
	return m.try(ctx, r.opts, self, append([]string{"child"}, r.args...)...)
}

// limited ends ctx after timeout and cancels it after abort, where they are not 0.
func limited(ctx context.Context, timeout, abort time.Duration) (context.Context, context.CancelFunc) {
	if timeout == 0 {
		timeout = math.MaxInt64
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	if abort > 0 {
		time.AfterFunc(abort, cancel)
	}
	return ctx, cancel
}
