package supervise

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
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

// What the caller says in the command must be done.
func TestCommandIsHonored(t *testing.T) {
	file, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer file.Close()
	var printed, complained bytes.Buffer
	cmd := exec.Command("sh", "-c", `cat; pwd; echo $NAME; ls -l /dev/fd/3 >&2; echo $NODE_CHANNEL_FD >&2; ps -o sid= -p $$ >&2; echo $$ >&2`)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader("input\n"), &printed, &complained
	cmd.Dir, cmd.Env = "/usr", []string{"NAME=value", "PATH=" + os.Getenv("PATH")}
	cmd.ExtraFiles = []*os.File{file}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	<-start(t, cmd, false).Done()
	require.Equal(t, "input\n/usr\nvalue\n", printed.String())
	lines := strings.Split(complained.String(), "\n")
	require.Contains(t, lines[0], os.DevNull)
	require.Equal(t, "4", lines[1])
	require.Equal(t, lines[3], strings.TrimSpace(lines[2]), "it leads a session")
}

// A worker must run as the user that the command names.
func TestCredentialIsHonored(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to become another user")
	}
	var printed bytes.Buffer
	cmd := exec.Command("id", "-u")
	cmd.Stdout = &printed
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	<-start(t, cmd, false).Done()
	require.Equal(t, "65534\n", printed.String())
}

// One writer for both outputs must not be called from two goroutines at the same time.
func TestOneWriterForBothOutputs(t *testing.T) {
	var printed bytes.Buffer
	cmd := exec.Command("sh", "-c", "for i in 1 2 3 4 5 6 7 8; do echo out; echo err >&2; done")
	cmd.Stdout, cmd.Stderr = &printed, &printed
	<-start(t, cmd, false).Done()
	require.Equal(t, 8, strings.Count(printed.String(), "out\n"))
	require.Equal(t, 8, strings.Count(printed.String(), "err\n"))
}

// What cannot be done must be an error that names it, and the context of a command must end
// the process.
func TestCommandIsRefused(t *testing.T) {
	cmd := exec.Command("true")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pgid: os.Getpid()}
	_, err := StartProcess(ipc.Config{}, cmd, false)
	require.ErrorContains(t, err, "SysProcAttr.Pgid")

	ctx, cancel := context.WithCancel(t.Context())
	p := start(t, exec.CommandContext(ctx, "sleep", "600"), false)
	cancel()
	<-p.Done()
	require.Equal(t, syscall.SIGKILL, p.Exit().Signal)
}

// startScript starts a shell script as a process.
func startScript(t *testing.T, hold bool, script string) *Process {
	t.Helper()
	return start(t, exec.Command("sh", "-c", script), hold)
}

func start(t *testing.T, cmd *exec.Cmd, hold bool) *Process {
	t.Helper()
	p, err := StartProcess(ipc.Config{}, cmd, hold)
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
