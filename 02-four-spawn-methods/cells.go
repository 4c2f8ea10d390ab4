package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

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
