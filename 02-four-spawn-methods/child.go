package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
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
		return flood(say, strings.Join(args, " "))
	case "flood-progress": // and print its progress to standard error
		written := 0
		return flood(func(v any) error {
			err := say(v)
			written += lineSize
			fmt.Fprintln(os.Stderr, written)
			return err
		}, strings.Join(args, " "))
	case "linger": // until it is killed
		time.Sleep(time.Minute)
	case "bear": // start a child, which holds the output open
		grandchild := exec.Command("sleep", "10")
		grandchild.Stdout, grandchild.Stderr = os.Stdout, os.Stderr
		if err := grandchild.Start(); err != nil {
			return err
		}
		if err := say(grandchild.Process.Pid); err != nil {
			return err
		}
		return grandchild.Wait()
	default:
		return fmt.Errorf("the child cannot %q", what)
	}
	return nil
}

// flood prints a number of bytes.
func flood(say func(any) error, bytes string) error {
	total, err := strconv.Atoi(bytes)
	if err != nil {
		return err
	}
	line := strings.Repeat("x", lineSize-len(`""`+"\n"))
	for range total / lineSize {
		if err := say(line); err != nil {
			return err
		}
	}
	return nil
}
