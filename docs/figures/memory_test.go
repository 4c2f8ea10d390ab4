package figures_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
	"playing-with-processes/internal/ipc"
	"playing-with-processes/internal/supervise"
)

// TestMemory prints how much memory one more unit of work takes while it waits.
func TestMemory(t *testing.T) {
	if supervise.Memory(os.Getpid()) == 0 {
		t.Skip("only Linux tells how much memory a process takes")
	}
	clitest.ForkSelf(t)               // the test fails if it leaves a process behind
	t.Setenv("MALLOC_ARENA_MAX", "1") // otherwise C reserves more than a stack per thread
	program := buildWaits(t)
	goroutine := measure(t, "goroutine", 10_000, together(t, program, "goroutines"))
	thread := measure(t, "thread in Go", 200, together(t, program, "threads"))
	process := measure(t, "process in Go", 8, apart(t, program, "goroutines"))
	all := []figures{goroutine, thread, process}
	if _, err := exec.LookPath("node"); err == nil {
		all = append(all,
			measure(t, "worker_thread in Node", 8, together(t, "node", "waits/waits.js")),
			measure(t, "process in Node", 8, apart(t, "node", "waits/waits.js")))
	}
	printMemory(all)
	fmt.Printf("A thread in Go reserves %.0f MiB of address space besides, for its stack.\n", thread.reserved/1024)
	require.Less(t, goroutine.each, thread.each)
	require.Less(t, thread.each, process.each)
}

// buildWaits builds waits, which is smaller than this test binary and never has the
// race detector in it.
func buildWaits(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "waits")
	out, err := exec.CommandContext(clitest.Context(t), "go", "build", "-o", path, "./waits").CombinedOutput()
	require.NoError(t, err, string(out))
	return path
}

// units are units of work that wait, and the processes in which they do.
type units struct {
	children []*ipc.Child
	add      func(n int) // returns when n more wait
}

// together returns units that share one process.
func together(t *testing.T, command ...string) *units {
	t.Helper()
	child := fork(t, exec.Command(command[0], command[1:]...))
	return &units{[]*ipc.Child{child}, func(n int) { ask(t, child, n) }}
}

// apart returns units that are processes.
func apart(t *testing.T, command ...string) *units {
	u := &units{}
	u.add = func(n int) {
		for range n {
			child := fork(t, exec.Command(command[0], command[1:]...))
			ask(t, child, 0)
			u.children = append(u.children, child)
		}
	}
	return u
}

// ask returns when n more units wait in a child, which itself waits as well.
func ask(t *testing.T, child *ipc.Child, n int) {
	t.Helper()
	require.NoError(t, child.Send(clitest.Context(t), n))
	receive(t, child)
}

// memory returns the PSS of all the processes, in KiB. What they share counts once. If other
// processes run the same program, the sum grows with this set's part of what all share.
func (u *units) memory(t *testing.T) (sum float64) {
	t.Helper()
	for _, child := range u.children {
		memory := supervise.Memory(child.Pid())
		require.NotZero(t, memory)
		sum += float64(memory) / 1024
	}
	return sum
}

// status returns a size of the first process, in KiB. See proc_pid_status(5).
func (u *units) status(t *testing.T, name string) (size float64) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", u.children[0].Pid()))
	require.NoError(t, err)
	_, found, _ := strings.Cut(string(text), "\n"+name+":")
	_, err = fmt.Sscan(found, &size)
	require.NoError(t, err)
	return size
}

// figures are in KiB: the RSS of the process with the first unit, how much PSS each of n more
// adds, and how much address space each adds to that process.
type figures struct {
	name                  string
	n                     int
	first, each, reserved float64
}

// measure starts one unit, and n more, and ends them.
func measure(t *testing.T, name string, n int, u *units) figures {
	t.Helper()
	u.add(1)
	rss, memory, reserved := u.status(t, "VmRSS"), u.memory(t), u.status(t, "VmSize")
	u.add(n)
	memory, reserved = u.memory(t)-memory, u.status(t, "VmSize")-reserved
	for _, child := range u.children {
		end(t, child) // otherwise the next units may share its pages
	}
	return figures{name, n, rss, memory / float64(n), reserved / float64(n)}
}

func printMemory(all []figures) {
	rows := [][]string{{"memory in KiB", "process with the first (RSS)", "each more (PSS)", "mean of"}}
	for _, f := range all {
		rows = append(rows, []string{f.name, fmt.Sprintf("%.0f", f.first), fmt.Sprintf("%.1f", f.each), fmt.Sprint(f.n)})
	}
	printTable(rows)
}
