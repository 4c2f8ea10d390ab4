package main

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
)

// After `stty tostop` the workers must go on, though they print in the background.
func TestTerminalWithTostop(t *testing.T) {
	t.Parallel()
	m := clitest.StartOnTerminal(t, clitest.Command(t, commandLine(t, 1, "")...))
	m.Await(`worker \d+\] serving on`)
	m.Await(`is ready`)
	require.NoError(t, m.Process.Signal(syscall.SIGTERM))
	m.End()
	require.Zero(t, m.ProcessState.ExitCode())
}
