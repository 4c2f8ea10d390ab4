package cli_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/cli"
	"playing-with-processes/internal/clitest"
)

func TestMain(m *testing.M) {
	clitest.Main(m, func() { cli.Main("prog", "how to use it\n", prog) })
}

// prog is a command that ends as its argument says. With -wait it first waits for a
// signal.
func prog(ctx context.Context, args []string) error {
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
	case "run-on":
		for { // the signal is handled a moment after the end of the context
			time.Sleep(10 * time.Millisecond)
			cli.NewLogger("role").Print("still running")
		}
	case "peer":
		return fmt.Errorf("to the peer: %w", syscall.EPIPE)
	case "sleep":
		time.Sleep(time.Millisecond)
	case "print":
		fmt.Fprint(cli.Stdout, "one\ntwo\n")
	case "outlive":
		cli.Stdout.Outlive()
		fmt.Fprint(cli.Stdout, "one\ntwo\n")
		fmt.Fprint(cli.Stdout, "three\n")
		fmt.Fprintf(os.Stderr, "lost %d lines", cli.Stdout.Lost())
	case "lasting":
		return errors.Join(cli.LastingError("all is lost"), ctx.Err())
	case "interrupted":
		return errors.Join(errors.New("no answer"), cli.ErrInterrupted)
	case "usage":
		return cli.Usagef("not %q", flags.Arg(0))
	}
	return nil
}

// startProg starts cmd and waits for its first line, which it returns with the lines that
// follow.
func startProg(t *testing.T, cmd *exec.Cmd) (first string, lines *bufio.Scanner) {
	t.Helper()
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines = bufio.NewScanner(stdout)
	require.True(t, lines.Scan())
	return lines.Text(), lines
}
