package programtest

import (
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// NoLeaks fails the test if, when all is over, it has left a descriptor, a child or a
// goroutine in this process. Call it first, and not in a test that others run beside.
func NoLeaks(t *testing.T) {
	t.Helper()
	descriptors, goroutines := OpenDescriptors(t), runtime.NumGoroutine()
	children := childPIDs() // zombies that earlier tests have inherited
	t.Cleanup(func() {
		// Goroutines end a moment after what they did is seen to be done.
		for deadline := time.Now().Add(patience); runtime.NumGoroutine() > goroutines && time.Now().Before(deadline); {
			runtime.Gosched()
		}
		if now := runtime.NumGoroutine(); now > goroutines {
			stacks := make([]byte, 1<<20)
			t.Errorf("%d goroutines, before %d:\n%s", now, goroutines, stacks[:runtime.Stack(stacks, true)])
		}
		require.Equal(t, descriptors, OpenDescriptors(t), "open descriptors")
		require.Subset(t, children, childPIDs(), "children")
	})
}

// OpenDescriptors lists what this process has open, with what it is.
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

// childPIDs are the processes whose parent is this one, zombies too, where the kernel
// tells.
func childPIDs() (pids []string) {
	tasks, _ := os.ReadDir("/proc/self/task")
	for _, task := range tasks {
		list, _ := os.ReadFile("/proc/self/task/" + task.Name() + "/children")
		pids = append(pids, strings.Fields(string(list))...)
	}
	return pids
}
