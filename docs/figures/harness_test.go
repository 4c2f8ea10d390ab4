// Package figures measures what docs/00-why.md tells: go test ./docs/figures -v.
package figures_test

import (
	"fmt"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
	"playing-with-processes/internal/ipc"
)

// roles are what the test binary does as a child. Its first argument names the role, and a
// role ends with its channel.
var roles = map[string]func(parent *ipc.Channel) error{}

func TestMain(m *testing.M) { clitest.Main(m, runRole) }

func runRole() {
	parent, err := ipc.Parent()
	if err == nil {
		err = roles[os.Args[1]](parent)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "role %q: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}

// fork forks cmd. The child must end with its channel, and without a failure.
func fork(t *testing.T, cmd *exec.Cmd) *ipc.Child {
	t.Helper()
	child, err := ipc.Fork(cmd)
	require.NoError(t, err)
	t.Cleanup(func() { end(t, child) })
	return child
}

// end ends a child, if it has not ended yet.
func end(t *testing.T, child *ipc.Child) {
	t.Helper()
	child.Disconnect()
	exit, err := child.Wait()
	require.NoError(t, err)
	require.Equal(t, ipc.Exit{}, exit)
}

// receive returns when the child has answered.
func receive(t *testing.T, child *ipc.Child) {
	t.Helper()
	message, err := child.Receive()
	require.NoError(t, err)
	require.NoError(t, message.Valid())
}

// printTable prints rows in aligned columns. The first column is text.
func printTable(rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len(cell))
		}
	}
	fmt.Println()
	for _, row := range rows {
		fmt.Printf("%-*s", widths[0], row[0])
		for i, cell := range row[1:] {
			fmt.Printf("  %*s", widths[i+1], cell)
		}
		fmt.Println()
	}
}

// raceDetector reports whether this test binary was built with -race.
func raceDetector() bool {
	info, _ := debug.ReadBuildInfo()
	return info != nil && strings.Contains(info.String(), "-race=true")
}
