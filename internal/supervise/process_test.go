package supervise

import (
	"context"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
	"playing-with-processes/internal/ipc"
)

// replaceStderr lets a test read what Stderr passes on. A Stderr may still write to it when
// the test is over.
func replaceStderr(t *testing.T) (read *os.File) {
	read, write, err := os.Pipe()
	require.NoError(t, err)
	before := os.Stderr
	os.Stderr = write
	t.Cleanup(func() {
		os.Stderr = before
		write.Close()
	})
	return read
}

// startScript starts a shell script as a process.
func startScript(t *testing.T, hold bool, script string) *Process {
	t.Helper()
	p, err := StartProcess(ipc.Config{}, exec.Command("sh", "-c", script), hold)
	require.NoError(t, err)
	go func() {
		for range p.Messages() {
		}
	}()
	t.Cleanup(func() { p.Signal(syscall.SIGKILL); <-p.Done() })
	return p
}

// If standard error is not read, the end of a process must still be noticed.
func TestStderrNotRead(t *testing.T) {
	replaceStderr(t)
	p := startScript(t, false, "head -c 1000000 /dev/zero >&2; exit 3")
	<-p.Done()
	require.Equal(t, 3, p.Exit().Code)
}

// What a process prints must be passed on complete, in order, and before Done is closed.
func TestStderr(t *testing.T) {
	read := replaceStderr(t)
	p := startScript(t, false, "echo one >&2; echo two >&2")
	<-p.Done()
	os.Stderr.Close()
	printed := make([]byte, 100)
	n, err := read.Read(printed)
	require.NoError(t, err)
	require.Equal(t, "one\ntwo\n", string(printed[:n]))
	line, ok := p.Stderr.ErrorLine()
	require.True(t, ok)
	require.Equal(t, "two", line)
}

// A held Stderr must pass on what it holds once, when it is released.
func TestStderrHeld(t *testing.T) {
	read := replaceStderr(t)
	p := startScript(t, true, "echo held >&2; read go <&3; echo free >&2")
	clitest.Eventually(t, func() bool { _, ok := p.Stderr.ErrorLine(); return ok })
	p.Stderr.Release()
	p.Stderr.Release()
	require.NoError(t, p.Send(t.Context(), "go"))
	<-p.Done()
	os.Stderr.Close()
	printed := make([]byte, 100)
	n, _ := read.Read(printed)
	if more, _ := read.Read(printed[n:]); more > 0 { // two writes may be two reads
		n += more
	}
	require.Equal(t, "held\nfree\n", string(printed[:n]))
}

// The stop ladder: asking is enough for some processes, others need SIGTERM, and the rest
// SIGKILL.
func TestLadder(t *testing.T) {
	for name, test := range map[string]struct {
		script   string
		patience time.Duration
		want     ipc.Exit
	}{
		"asked":   {"echo 1 >&3; read go <&3; exit 5", clitest.Never, ipc.Exit{Code: 5}},
		"SIGTERM": {"echo 1 >&3; sleep 100", 0, ipc.Exit{Code: -1, Signal: syscall.SIGTERM}},
		"SIGKILL": {"trap '' TERM; echo 1 >&3; sleep 100", 0, ipc.Exit{Code: -1, Signal: syscall.SIGKILL}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := StartProcess(ipc.Config{}, exec.Command("sh", "-c", test.script), false)
			require.NoError(t, err)
			_, err = p.Receive() // it runs
			require.NoError(t, err)
			p.Stop(func(ctx context.Context) { p.Send(ctx, "go") }, test.patience)
			p.Disconnect()
			require.Equal(t, test.want, p.Exit())
		})
	}
}
