package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
)

// After `stty tostop` a forked program must be able to print, though it is in the background.
func TestTerminalWithTostop(t *testing.T) {
	m := clitest.StartOnTerminal(t, clitest.Command(t, clitest.Self(t), "fork", shell, "-c", "echo printed; exit 3"))
	m.Await("printed")
	require.Contains(t, m.End(), `"code":3`)
}
