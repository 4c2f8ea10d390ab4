package clitest

import (
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// NoLeaks fails the test if it leaves a descriptor, a child or a goroutine in this process.
// Call it first, and only in a test that runs alone.
func NoLeaks(t *testing.T) {
	t.Helper()
	descriptors, goroutines := OpenDescriptors(t), runtime.NumGoroutine()
	children := childPIDs() // zombies left by earlier tests
	t.Cleanup(func() {
		// A goroutine ends a moment after the effect that a test can see.
		Eventually(t, func() bool { return runtime.NumGoroutine() <= goroutines }, stacks{})
		require.Equal(t, descriptors, OpenDescriptors(t), "open descriptors")
		require.Subset(t, children, childPIDs(), "children")
	})
}

// stacks prints the stacks of all goroutines.
type stacks struct{}

func (stacks) String() string {
	text := make([]byte, 1<<20)
	return string(text[:runtime.Stack(text, true)])
}

// OpenDescriptors lists the open descriptors of this process, and what each refers to.
func OpenDescriptors(t *testing.T) (open []string) {
	t.Helper()
	dir := "/proc/self/fd"
	if runtime.GOOS == "darwin" {
		dir = "/dev/fd"
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		target, err := os.Readlink(dir + "/" + e.Name())
		if err == nil && !strings.Contains(target, "/fd") && !strings.Contains(target, "[event") {
			open = append(open, e.Name()+" "+target)
		}
	}
	slices.Sort(open)
	return open
}

// childPIDs lists the children of this process, zombies included, on Linux.
func childPIDs() (pids []string) {
	tasks, _ := os.ReadDir("/proc/self/task")
	for _, task := range tasks {
		list, _ := os.ReadFile("/proc/self/task/" + task.Name() + "/children")
		pids = append(pids, strings.Fields(string(list))...)
	}
	return pids
}
