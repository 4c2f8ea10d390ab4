package main

import (
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// pinnedOutput is cmd.Output on the first CPU that this process may use. A child inherits
// the affinity of the thread that starts it, and so GOMAXPROCS becomes 1 in the child.
func pinnedOutput(cmd *exec.Cmd) ([]byte, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return nil, err
	}
	for cpu := 0; one.Count() == 0; cpu++ {
		if all.IsSet(cpu) {
			one.Set(cpu)
		}
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return nil, err
	}
	defer unix.SchedSetaffinity(0, &all)
	return cmd.Output()
}
