package main

import (
	"os"
	"os/exec"
	"time"

	"playing-with-processes/internal/ipc"
)

// forkToMessage measures how many milliseconds pass between the call of Fork and the first
// message of the child. The end of the child does not count.
func forkToMessage([]string) (float64, error) {
	var spent time.Duration
	var forks float64
	for begun := time.Now(); time.Since(begun) < measuringTime(); forks++ {
		took, err := forkOnce()
		if err != nil {
			return 0, err
		}
		spent += took
	}
	return spent.Seconds() * 1e3 / forks, nil
}

// forkOnce starts a child, and returns how long its first message took.
func forkOnce() (time.Duration, error) {
	cmd := exec.Command("bin/child")
	cmd.Stderr = os.Stderr
	begun := time.Now()
	child, err := ipc.Fork(cmd)
	if err != nil {
		return 0, err
	}
	defer endChild(child)
	var hello string
	err = receive(child.Channel, &hello)
	return time.Since(begun), err
}
