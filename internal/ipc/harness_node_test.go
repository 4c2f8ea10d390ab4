package ipc

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"playing-with-processes/internal/clitest"

	"github.com/stretchr/testify/require"
)

// A scenario is Go's part of an exchange with testdata/NAME.js. It is the same for a Go
// parent and for a Go child, which is the role "node-NAME". connect makes the channel.
type scenario func(ctx context.Context, connect func(Config) (*Channel, error)) error

var scenarios = map[string]scenario{}

func addScenario(name string, s scenario) {
	scenarios[name] = s
	roles["node-"+name] = asChild(s)
}

// asChild makes a role of a scenario.
func asChild(s scenario) func() {
	return func() {
		var c *Channel
		err := s(context.Background(), func(cfg Config) (_ *Channel, err error) {
			c, err = cfg.Parent()
			return c, err
		})
		if err != nil {
			fmt.Fprintf(os.Stderr, "Go child %q: %v\n", os.Args[1], err)
			os.Exit(1)
		}
		c.Disconnect()
	}
}

// testWithNode runs a scenario with Go as the parent of Node, and as its child.
func testWithNode(t *testing.T, name string) {
	t.Run("Go parent", func(t *testing.T) {
		noLeaks(t)
		var child *Child
		require.NoError(t, scenarios[name](clitest.Context(t), func(cfg Config) (*Channel, error) {
			child = forkWith(t, cfg, script(t, name+".js"))
			return child.Channel, nil
		}))
		child.Disconnect() // Node may have been first
		requireExit(t, Exit{}, child)
	})
	t.Run("Node parent", func(t *testing.T) {
		noLeaks(t)
		nodeParent(t, name+".js")
	})
}

// node returns a command that runs a program, given as text, in real Node. Without Node
// it skips the test.
func node(t *testing.T, program string) *exec.Cmd {
	t.Helper()
	clitest.NeedNode(t)
	cmd := exec.Command("node", "-e", program, "--")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd
}

// script returns a command that runs a program of testdata in real Node.
func script(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := node(t, "")
	cmd.Args = append([]string{cmd.Path, "testdata/" + name}, args...)
	return cmd
}

// nodeParent runs a program of testdata that forks this test binary. Both must succeed.
// It returns their output.
func nodeParent(t *testing.T, name string, args ...string) string {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := script(t, name, append([]string{self}, args...)...)
	out := new(strings.Builder)
	cmd.Stdout = out
	require.NoError(t, cmd.Start())
	defer clitest.AtDeadline(t, func() { cmd.Process.Kill() }).Stop()
	require.NoError(t, cmd.Wait(), out)
	return out.String()
}
