package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"playing-with-processes/internal/ipc"
)

// pause is how long talk waits between its first word and its last.
const pause = 100 * time.Millisecond

// lineSize is the length of each line of flood, with its newline.
const lineSize = 1 << 10

// introduction is what say prints.
type introduction struct {
	Args    []string `json:"args"`
	Channel string   `json:"channel"` // its descriptor, or ""
}

// child is the program that all four methods run. It prints to its channel or, without one, to
// standard output.
func child(args []string) error {
	if len(args) == 0 {
		return errors.New("the child needs to know what to do")
	}
	descriptor := os.Getenv("NODE_CHANNEL_FD")
	say := json.NewEncoder(os.Stdout).Encode
	if parent, err := ipc.Parent(); err == nil {
		say = func(v any) error { return parent.Send(context.Background(), v) }
	} else if !errors.Is(err, ipc.ErrNotForked) {
		return err
	}

	switch what, args := args[0], args[1:]; what {
	case "say":
		return say(introduction{args, descriptor})
	case "talk":
		if err := say("first"); err != nil {
			return err
		}
		time.Sleep(pause)
		return say("last")
	case "exit":
		code, err := strconv.Atoi(strings.Join(args, " "))
		if err != nil {
			return err
		}
		os.Exit(code)
	case "be-killed":
		return syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "flood":
		return flood(say, strings.Join(args, " "), io.Discard)
	case "flood-progress":
		return flood(say, strings.Join(args, " "), os.Stderr)
	case "linger": // until it is killed
		time.Sleep(time.Minute)
	case "start-child":
		return startGrandchild(say)
	default:
		return fmt.Errorf("the child cannot %q", what)
	}
	return nil
}

// flood prints a number of bytes, and after each line writes to progress how many they are.
func flood(say func(any) error, bytes string, progress io.Writer) error {
	total, err := strconv.Atoi(bytes)
	if err != nil {
		return err
	}
	line := strings.Repeat("x", lineSize-len(`""`+"\n"))
	for written := lineSize; written <= total; written += lineSize {
		if err := say(line); err != nil {
			return err
		}
		fmt.Fprintln(progress, written)
	}
	return nil
}

// startGrandchild starts a process that holds the output open, and prints its pid.
func startGrandchild(say func(any) error) error {
	grandchild := ipc.Self("child", "linger")
	if err := grandchild.Start(); err != nil {
		return err
	}
	if err := say(grandchild.Process.Pid); err != nil {
		return err
	}
	return grandchild.Wait()
}
