package programtest

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"golang.org/x/sys/unix"
)

// adoptOrphans makes this process the parent of whoever loses its parent below
// it, in the place of init: so the tests see them (PR_SET_CHILD_SUBREAPER(2const)).
func adoptOrphans() {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		panic(err)
	}
}

// requireNoOrphans fails the test if a process with this variable in its
// environment runs on, and ends it. One that has been killed already may take a
// moment. A zombie has no environment: it is left to whoever started it.
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
	if t.Failed() || !assert.Eventually(t, none, patience, time.Millisecond, "processes are left") {
		children, _ := Children(variable)
		for _, pid := range children {
			unix.Kill(pid, unix.SIGKILL)
			unix.Wait4(pid, nil, 0, nil)
		}
	}
}

// Children are the running processes whose parent is this one, and which have this
// variable in their environment; known is whether the kernel tells.
func Children(variable string) (pids []int, known bool) {
	for _, word := range childPIDs() {
		environment, _ := os.ReadFile("/proc/" + word + "/environ")
		if !slices.Contains(strings.Split(string(environment), "\x00"), variable) {
			continue
		}
		if pid, err := strconv.Atoi(word); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, true
}
