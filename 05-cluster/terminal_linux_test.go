package main

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
)

// After `stty tostop` the workers must go on, though they print in the background, and the
// signals that a terminal sends then must not be taken for an order to scale.
func TestTerminalWithTostop(t *testing.T) {
	t.Parallel()
	m := clitest.StartOnTerminal(t, clitest.Command(t, commandLine(t, "", "-n", "2")...))
	m.Await(`worker \d+\] serving on`)
	m.Await(`worker \d+\] serving on`)
	for _, s := range []syscall.Signal{syscall.SIGTTOU, syscall.SIGTTIN, syscall.SIGUSR2} {
		require.NoError(t, m.Process.Signal(s))
	}
	m.Await(`reload: all workers are new`)
	require.NoError(t, m.Process.Signal(syscall.SIGTERM))
	require.NotContains(t, m.End(), "scale from")
	require.Zero(t, m.ProcessState.ExitCode())
}
