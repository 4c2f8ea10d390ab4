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

// pause is how long the child is busy between its first word and its last.
const pause = 100 * time.Millisecond

// lineSize is how long each line of a flood is, with its newline.
const lineSize = 1 << 10

// introduction is what the child says of itself.
type introduction struct {
	Args    []string `json:"args"`
	Channel string   `json:"channel"` // the descriptor, or nothing
}

// child is the program that all four methods run. What it has to say it says by
// its channel, and where it has none, on standard output.
func child(args []string) error {
	if len(args) == 0 {
		return errors.New("what shall the child do?")
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
	case "flood-aloud": // and tell on standard error how far it is
		written := 0
		return flood(func(v any) error {
			err := say(v)
			written += lineSize
			fmt.Fprintln(os.Stderr, written)
			return err
		}, strings.Join(args, " "))
	case "linger": // until somebody ends it
		time.Sleep(time.Minute)
	case "bear": // a child of its own, that holds the output open
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

// flood says so many bytes.
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
