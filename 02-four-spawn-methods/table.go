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

// deadline is what the children get that would not end by themselves.
var deadline = 200 * time.Millisecond

// A row is one case, that each method is put to, and what is shown of the outcome.
type row struct {
	label string
	file  string   // this program as the child, if empty
	args  []string // with "child" in front, if so
	opts  Options
	limit func(context.Context) (context.Context, context.CancelFunc)
	show  func(outcome) string
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
	{label: "a deadline", args: []string{"linger"}, limit: withDeadline, show: howItEnded},
	{label: "its grandchild", args: []string{"bear"}, limit: withDeadline, show: grandchild},
	{label: "cancelled", args: []string{"linger"}, limit: withCancel, show: howItEnded},
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

// try puts one method to the case.
func (r row) try(ctx context.Context, m method, self string) outcome {
	if r.limit != nil {
		var cancel context.CancelFunc
		ctx, cancel = r.limit(ctx)
		defer cancel()
	}
	if r.file != "" {
		return m.try(ctx, r.opts, r.file)
	}
	if m.name == "exec" {
		self = Quote(self) // it may have a blank in it
	}
	return m.try(ctx, r.opts, self, append([]string{"child"}, r.args...)...)
}

func withDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, deadline)
}

func withCancel(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	time.AfterFunc(deadline, cancel)
	return ctx, cancel
}

// heard is the first that the child said, by whichever way, stored in v.
func (o outcome) heard(v any) error {
	said, _, _ := strings.Cut(string(o.stdout), "\n")
	if len(o.messages) > 0 {
		said = string(o.messages[0])
	}
	return json.Unmarshal([]byte(said), v)
}

func argument(o outcome) string {
	var it introduction
	if err := o.heard(&it); err != nil {
		return howItEnded(o)
	}
	return strings.Join(it.Args, " ")
}

func channel(o outcome) string {
	var it introduction
	switch err := o.heard(&it); {
	case err != nil:
		return howItEnded(o)
	case it.Channel == "":
		return "none"
	}
	return "descriptor " + it.Channel
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

// grandchild tells how long the method took, and what became of the process that
// the child had started, which held the output open.
func grandchild(o outcome) string {
	var pid int
	if err := o.heard(&pid); err != nil {
		return "there is none"
	}
	state := "runs on"
	for range 100 { // the signal was sent, and does its work in a moment
		if !alive(pid) {
			state = "ended"
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Sprintf("%s, %d ms", state, o.last.Milliseconds())
}

// alive tells a process that runs from one that is gone, or has ended and is not
// yet waited for.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)) // nothing on macOS: init has waited there
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z")
}
