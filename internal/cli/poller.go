package cli

import (
	"os"

	"golang.org/x/sys/unix"
)

// startPoller makes the runtime open the two descriptors with which it waits for files and
// timers. Without this it would do so when it first needs them, and if the limit of descriptors
// (ulimit -n) left no room by then, it would end the process with a trace of its own.
func startPoller() error {
	if err := findRoom(); err != nil {
		return os.NewSyscallError("pipe", err)
	}
	r, w, err := os.Pipe() // which the runtime polls
	if err != nil {
		return err
	}
	w.Close()
	return r.Close()
}

// findRoom finds out whether four more descriptors can be open: the poller's and a pipe's.
func findRoom() error {
	var pipes [2][2]int
	for i := range pipes {
		if err := unix.Pipe(pipes[i][:]); err != nil {
			return err
		}
		defer unix.Close(pipes[i][0])
		defer unix.Close(pipes[i][1])
	}
	return nil
}
