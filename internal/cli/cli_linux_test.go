package cli_test

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strconv"
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

// A signal that was ignored from the start must stay ignored, as in a script's background job
// or under nohup. SIGTERM must end the command.
func TestIgnoredSignals(t *testing.T) {
	cmd := clitest.Command(t, "sh", "-c", `trap "" INT HUP; exec "$0" -wait`, clitest.Self(t))
	startProg(t, cmd)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	require.NoError(t, err)
	mask := regexp.MustCompile(`SigIgn:\t([0-9a-f]+)`).FindSubmatch(status)
	ignored, err := strconv.ParseUint(string(mask[1]), 16, 64)
	require.NoError(t, err)
	const want = 1<<(syscall.SIGINT-1) | 1<<(syscall.SIGHUP-1)
	require.Equal(t, uint64(want), ignored&want)
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, cmd.Wait())
}

// If the output cannot be written, the command must fail and say so, whatever it printed.
func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	require.NoError(t, err)
	defer full.Close()
	for _, args := range [][]string{{"-h"}, {"print"}} {
		var stderr bytes.Buffer
		cmd := clitest.Command(t, append([]string{clitest.Self(t)}, args...)...)
		cmd.Stdout, cmd.Stderr = full, &stderr
		cmd.Run()
		require.Equal(t, 1, cmd.ProcessState.ExitCode(), args)
		require.Equal(t, "prog: write /dev/stdout: no space left on device\n", stderr.String())
	}
}
