package cli_test

import (
	"bufio"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
)

// A container's first process, which the kernel spares the signals that it does
// not handle, hears the second one as well.
func TestSecondInterruptOfProcess1(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, for a PID namespace")
	}
	cmd := clitest.Command(t, clitest.Self(t), "-wait", "forever")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(stdout)
	require.True(t, lines.Scan())
	require.Equal(t, "[role 1] waiting", lines.Text())
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	for lines.Scan() { // the second may come before it is listened for
		cmd.Process.Signal(os.Interrupt)
	}
	cmd.Wait()
	require.Equal(t, 130, cmd.ProcessState.ExitCode())
}
