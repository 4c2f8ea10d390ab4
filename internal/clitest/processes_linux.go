package clitest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// adoptOrphans makes this process the parent of every descendant that loses its own parent,
// in place of init, so that the tests see them (PR_SET_CHILD_SUBREAPER(2const)).
func adoptOrphans() {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		panic(err)
	}
}

// requireNoOrphans fails the test if a process with this variable in its environment still
// runs, and kills it. A process that was killed already may take a moment. A zombie has no
// environment; its parent must wait for it.
func requireNoOrphans(t *testing.T, variable string) {
	t.Helper()
	none := func() bool {
		children, _ := Children(variable)
		for _, pid := range children {
			unix.Wait4(pid, nil, unix.WNOHANG, nil)
		}
		children, _ = Children(variable)
		return len(children) == 0
	}
	if !t.Failed() && !eventually(t, none) {
		t.Error("processes are left")
	}
	if t.Failed() {
		children, _ := Children(variable)
		for _, pid := range children {
			unix.Kill(pid, unix.SIGKILL)
			unix.Wait4(pid, nil, 0, nil)
		}
	}
}

// Children returns the running children of this process that have this variable in their
// environment. known reports whether the kernel can tell.
func Children(variable string) (pids []int, known bool) {
	for _, word := range childPIDs() {
		environment, _ := os.ReadFile("/proc/" + word + "/environ")
		if slices.Contains(strings.Split(string(environment), "\x00"), variable) {
			pid, _ := strconv.Atoi(word) // the kernel writes only numbers
			pids = append(pids, pid)
		}
	}
	return pids, true
}

// RequireStopped waits until each thread of a process is stopped, as by SIGSTOP.
func RequireStopped(t *testing.T, pid int) {
	t.Helper()
	Eventually(t, func() bool {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		return len(threads) > 0 && !slices.ContainsFunc(threads, func(thread string) bool {
			stat, err := os.ReadFile(thread)
			return err != nil || !bytes.Contains(stat, []byte(") T "))
		})
	})
}
