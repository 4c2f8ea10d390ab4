package cli_test

import (
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
)

// A second Ctrl-C must end the first process of a container, too, though the kernel drops
// signals that such a process does not handle.
func TestSecondInterruptOfProcess1(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, for a PID namespace")
	}
	cmd := clitest.Command(t, clitest.Self(t), "-wait", "run-on")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	first, lines := startProg(t, cmd)
	require.Equal(t, "[role 1] waiting", first)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	for lines.Scan() { // the second signal has no effect before the first was handled
		cmd.Process.Signal(os.Interrupt)
	}
	cmd.Wait()
	require.Equal(t, 130, cmd.ProcessState.ExitCode())
}
