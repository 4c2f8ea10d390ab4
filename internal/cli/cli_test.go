package cli_test

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/cli"
	"playing-with-processes/internal/clitest"
)

// The exit code and one line must say how a command ended.
func TestExitCode(t *testing.T) {
	for _, test := range []struct {
		args []string
		want clitest.Result
	}{
		{nil, clitest.Result{}},
		{[]string{"-h"}, clitest.Result{Stdout: "how to use it\n"}},
		{[]string{"fail"}, clitest.Result{Code: 1, Stderr: "prog: one; two; three\n"}},
		{[]string{"peer"}, clitest.Result{Code: 1, Stderr: "prog: to the peer: broken pipe\n"}},
		{[]string{"interrupted"}, clitest.Result{Code: 130, Stderr: "prog: interrupted\n"}},
		{[]string{"usage"}, clitest.Result{Code: 2, Stderr: "prog: not \"usage\" (-h explains)\n"}},
		{[]string{"-no"}, clitest.Result{Code: 2, Stderr: "prog: flag provided but not defined: -no (-h explains)\n"}},
	} {
		require.Equal(t, test.want, clitest.Run(t, append([]string{clitest.Self(t)}, test.args...)...))
	}
}

// Too few descriptors for the runtime's poller must be an error in one line, and not a trace.
func TestFewDescriptors(t *testing.T) {
	const failed = "prog: pipe: too many open files\n"
	for limit := 4; limit <= 12; limit++ {
		got := clitest.Run(t, "sh", "-c", fmt.Sprintf(`ulimit -n %d && exec "$0" sleep`, limit), clitest.Self(t))
		if limit == 4 || got.Code != 0 {
			require.Equal(t, clitest.Result{Code: 1, Stderr: failed}, got, limit)
		}
	}
}

// After Ctrl-C an error must be reported as an interruption. A command that returns no
// error must exit with code 0, whatever the signal.
func TestInterrupt(t *testing.T) {
	clitest.RequireInterruptible(t, "prog", 1, clitest.Self(t), "-wait", "fail")

	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		cmd := clitest.Command(t, clitest.Self(t), "-wait")
		startProg(t, cmd)
		require.NoError(t, cmd.Process.Signal(sig))
		require.NoError(t, cmd.Wait(), sig)
	}
}

// Ctrl-C must not hide a LastingError.
func TestInterruptAndLastingError(t *testing.T) {
	cmd := clitest.Command(t, clitest.Self(t), "-wait", "lasting")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	startProg(t, cmd)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	cmd.Wait()
	require.Equal(t, 1, cmd.ProcessState.ExitCode())
	require.Equal(t, "prog: all is lost; context canceled\n", stderr.String())
}

// A second Ctrl-C must end a command that does not end after the first one.
func TestSecondInterrupt(t *testing.T) {
	cmd := clitest.Command(t, clitest.Self(t), "-wait", "run-on")
	_, lines := startProg(t, cmd)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	for lines.Scan() { // it prints a line every 10 ms
		cmd.Process.Signal(os.Interrupt)
	}
	cmd.Wait()
	require.Equal(t, syscall.SIGINT, cmd.ProcessState.Sys().(syscall.WaitStatus).Signal())
}

// A signal that comes at once after the first one must not count as the second one, whether it
// is the same, as from timeout(1), or another one.
func TestSignalSentTwice(t *testing.T) {
	for _, again := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		for !testSignalSentTwice(t, again) { // the machine was too slow
		}
	}
}

func testSignalSentTwice(t *testing.T, again syscall.Signal) (inTime bool) {
	t.Helper()
	cmd := clitest.Command(t, clitest.Self(t), "-wait", "run-on")
	_, lines := startProg(t, cmd)
	begun := time.Now()
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.True(t, lines.Scan()) // it has handled the signal
	require.NoError(t, cmd.Process.Signal(again))
	inTime = time.Since(begun) < cli.SecondSignal
	for i := 0; inTime && i < 3; i++ {
		require.True(t, lines.Scan(), "%v has ended it", again)
	}
	require.NoError(t, cmd.Process.Kill())
	for lines.Scan() {
	}
	cmd.Wait()
	return inTime
}

// When nothing reads the output any more, SIGPIPE must end a command, and a server must go on and
// count the lines.
func TestReaderEnds(t *testing.T) {
	for command, want := range map[string]clitest.Result{
		`exec "$0" print`:                 {Code: -1},
		`exec "$0" outlive`:               {Stderr: "lost 3 lines"},
		`trap "" PIPE; exec "$0" outlive`: {Stderr: "lost 3 lines"},
	} {
		var stderr bytes.Buffer
		cmd := clitest.Command(t, "sh", "-c", command, clitest.Self(t))
		read, write, err := os.Pipe()
		require.NoError(t, err)
		require.NoError(t, read.Close())
		cmd.Stdout, cmd.Stderr = write, &stderr
		cmd.Run()
		require.NoError(t, write.Close())
		require.Equal(t, want, clitest.Result{Code: cmd.ProcessState.ExitCode(), Stderr: stderr.String()}, command)
	}
}

// Command must split a line at blanks, and return nil for a blank line.
func TestCommand(t *testing.T) {
	require.Nil(t, cli.Command("  "))
	require.Equal(t, []string{"node", "a.js", "-x"}, cli.Command(" node  a.js\t-x ").Args)
}
