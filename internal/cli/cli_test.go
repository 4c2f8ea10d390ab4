package cli_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/cli"
	"playing-with-processes/internal/clitest"
)

func TestMain(m *testing.M) {
	clitest.Main(m, func() { cli.Main("prog", "how to use it\n", play) })
}

// play is a program that ends in every way.
func play(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	wait := flags.Bool("wait", false, "")
	if err := cli.Parse(flags, args); err != nil {
		return err
	}
	if *wait {
		cli.NewLogger("role").Print("waiting")
		<-ctx.Done()
	}
	switch flags.Arg(0) {
	case "fail":
		return errors.Join(errors.New("one"), errors.New("two\r\nthree"))
	case "forever":
		for { // the signal is heard a moment after the end of the context
			time.Sleep(10 * time.Millisecond)
			cli.NewLogger("role").Print("still here")
		}
	case "failure":
		return errors.Join(cli.LastingError("all is lost"), ctx.Err())
	case "told":
		return errors.Join(errors.New("no answer"), cli.ErrInterrupted)
	case "misuse":
		return cli.Usagef("not %q", flags.Arg(0))
	}
	return nil
}

// Whatever ends a program, whoever started it learns it from the exit code and
// one line.
func TestEnds(t *testing.T) {
	for _, test := range []struct {
		args []string
		want clitest.Result
	}{
		{nil, clitest.Result{}},
		{[]string{"-h"}, clitest.Result{Stdout: "how to use it\n"}},
		{[]string{"fail"}, clitest.Result{Code: 1, Stderr: "prog: one; two; three\n"}},
		{[]string{"told"}, clitest.Result{Code: 130, Stderr: "prog: interrupted\n"}},
		{[]string{"misuse"}, clitest.Result{Code: 2, Stderr: "prog: not \"misuse\" (-h explains)\n"}},
		{[]string{"-no"}, clitest.Result{Code: 2, Stderr: "prog: flag provided but not defined: -no (-h explains)\n"}},
	} {
		require.Equal(t, test.want, clitest.Run(t, append([]string{clitest.Self(t)}, test.args...)...))
	}
}

// After Ctrl-C an error is only the interruption; a program that has drained and
// returns none has ended well.
func TestInterrupted(t *testing.T) {
	clitest.RequireInterruptible(t, "prog", 1, clitest.Self(t), "-wait", "fail")

	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		cmd := clitest.Command(t, clitest.Self(t), "-wait")
		stdout, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		_, err = stdout.Read(make([]byte, 100))
		require.NoError(t, err)
		require.NoError(t, cmd.Process.Signal(sig))
		require.NoError(t, cmd.Wait(), sig)
	}
}

// A failure from before it is not hidden by it.
func TestInterruptedFailure(t *testing.T) {
	cmd := clitest.Command(t, clitest.Self(t), "-wait", "failure")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = stdout.Read(make([]byte, 100))
	require.NoError(t, err)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	cmd.Wait()
	require.Equal(t, 1, cmd.ProcessState.ExitCode())
	require.Equal(t, "prog: all is lost; context canceled\n", stderr.String())
}

// Whoever has lost patience with a program that does not end is heard, too.
func TestSecondInterrupt(t *testing.T) {
	cmd := clitest.Command(t, clitest.Self(t), "-wait", "forever")
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(stdout)
	for range 2 {
		require.True(t, lines.Scan())
		require.NoError(t, cmd.Process.Signal(os.Interrupt))
	}
	cmd.Wait()
	require.Equal(t, syscall.SIGINT, cmd.ProcessState.Sys().(syscall.WaitStatus).Signal())
}

// A command line is split at blanks, and none is no command.
func TestCommand(t *testing.T) {
	require.Nil(t, cli.Command("  "))
	require.Equal(t, []string{"node", "a.js", "-x"}, cli.Command(" node  a.js\t-x ").Args)
}

// Of all that a dying program says, one line matters.
func TestWords(t *testing.T) {
	for said, want := range map[string]string{
		"":                        "it printed nothing",
		" \n\n":                   "it printed nothing",
		"sh: 1: x: not found\n":   "sh: 1: x: not found",
		"started\ncannot go on\n": "cannot go on",
		"panic: a\n\ngoroutine 1 [running]:\nmain.main()\n\t/x.go:3\nexit status 2\n":        "panic: a",
		"/x.js:1\nthrow new Error('a')\n^\n\nTypeError [CODE]: a\n    at x\n\nNode.js v20\n": "TypeError [CODE]: a",
		"fatal error: all goroutines are asleep\n\ngoroutine 1:\n":                           "fatal error: all goroutines are asleep",
		"no panic: x\nlast\n":      "last",
		"Error: old\nError: new\n": "Error: new",
		"\x1b[2J\xff":              "\ufffd[2J\ufffd",
		strings.Repeat("x", 300):   strings.Repeat("x", 200),
	} {
		var words cli.TailBuffer
		for _, b := range []byte(said) {
			words.Write([]byte{b})
		}
		require.Equal(t, want, words.ErrorLine())
		require.Equal(t, said, string(words.Bytes()))
	}
	var words cli.TailBuffer
	for range 100 {
		words.Write(bytes.Repeat([]byte("long "), 1000))
	}
	require.Len(t, words.Bytes(), 64<<10)
	require.True(t, bytes.HasSuffix(words.Bytes(), []byte("long long ")))
}
