package main

import (
	"bufio"
	"bytes"
	"context"
	"log"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
)

// An error, also of a worker, must be reported in one line, and must leave no process
// behind. The exit code must be 2 for wrong usage, and 1 for a failure.
func TestErrors(t *testing.T) {
	tests := []struct {
		args []string
		code int
		want string
	}{
		{[]string{"-x"}, 2, "flag provided but not defined: -x"},
		{[]string{"-n"}, 2, "flag needs an argument: -n"},
		{[]string{"-n", "x"}, 2, `invalid value "x" for flag -n`},
		{[]string{"-n", "0"}, 2, "-n 0: there can be 1 to 512 workers"},
		{[]string{"-n", "-1"}, 2, "-n -1: there can be 1 to 512 workers"},
		{[]string{"-n", "100000"}, 2, "-n 100000: there can be 1 to 512 workers"},
		{[]string{"-below", "0"}, 2, "-below 0: the number must be 1 to 1000000000"},
		{[]string{"-below", "1000000001"}, 2, "-below 1000000001: the number must be 1 to 1000000000"},
		{[]string{"role"}, 2, `unexpected arguments ["role"]`},
		{[]string{"-n", "2", "worker"}, 2, `unexpected arguments ["worker"]`},
		{[]string{"worker"}, 1, "worker: not forked: NODE_CHANNEL_FD is not set"},
		{[]string{"-worker", "no-such-program"}, 1, "executable file not found"},
		{[]string{"-worker", t.TempDir()}, 1, "permission denied"},
		{[]string{"-worker", "true"}, 1, "ended with code 0 and no result"},
		{[]string{"-worker", script(t, `kill -9 $$`)}, 1, "ended with signal killed and no result"},
		{[]string{"-worker", script(t, `echo first >&2; echo second >&2; exit 7`)}, 1, "ended with code 7 and no result: second"},
		{[]string{"-worker", script(t, `echo nonsense >&3; read x <&3`)}, 1, "message: jsontext: invalid character"},
		{[]string{"-worker", script(t, `echo '{"primes":1,"wall":1}' >&3; while read x; do :; done <&3`)}, 1, "the counts differ: 25 by 1 goroutine"},
		{[]string{"-worker", script(t, `exec 3>&-; exec sleep 10`)}, 1, "closed its channel and did not exit"},
		{[]string{"-worker", script(t, `read x <&3; echo '{"primes":25,"wall":1}' >&3; exec sleep 10`)}, 1, "did not exit after the disconnect"},
		{[]string{"-worker", script(t, `printf '\033[2J%0300d' 0 >&2; exit 7`)}, 1, "no result: \ufffd[2J0000"},
		{[]string{"-worker", script(t, `echo '{"primes":1,"wall":1}' >&3; while read x; do :; done <&3; echo late >&2; exit 7`)}, 1, "ended with code 7: late"},
	}
	for _, test := range tests {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			words := append([]string{clitest.Self(t)}, test.args...)
			if test.code == 1 && test.args[0] != "worker" {
				words = append(words, "-below", "100")
			}
			clitest.RequireError(t, clitest.Run(t, words...), test.code, name, test.want)
		})
	}
}

// When a fork fails, the primary must end the workers that it has forked already. The
// workers of the second job would not notice the end of the primary.
func TestForkFails(t *testing.T) {
	for limit, want := range map[string]string{
		"-n 30": "too many open files",
		"-u 40": "temporarily unavailable", // processes and threads
	} {
		t.Run(want, func(t *testing.T) {
			for _, job := range [][]string{{"-below", endless}, {"-worker", "sleep 1000"}} {
				got := runLimited(t, limit, append(job, "-n", "100")...)
				require.Contains(t, got.Stdout, "for share 1 of 100", "no worker was forked")
				clitest.RequireError(t, got, 1, name, want)
			}
		})
	}
}

// When a worker fails, inProcesses must end the others before it returns, even workers
// that would not notice the disconnect.
func TestNoWorkerIsLeft(t *testing.T) {
	var output bytes.Buffer
	clitest.ForkSelf(t)
	say = log.New(&output, "", 0)
	worker := script(t, `read x <&3; case $x in *'"number":0'*) exit 7;; esac; exec sleep 1000`)
	_, _, err := inProcesses(context.Background(), split(3, 100), func() *exec.Cmd { return exec.Command(worker) })
	require.ErrorContains(t, err, "ended with code 7")
	pids := regexp.MustCompile(`forked (\d+)`).FindAllStringSubmatch(output.String(), -1)
	require.Len(t, pids, 3)
	for _, found := range pids {
		pid, err := strconv.Atoi(found[1])
		require.NoError(t, err)
		require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH)
	}
}

func TestHelp(t *testing.T) {
	require.Equal(t, clitest.Result{Stdout: usage}, clitest.Run(t, clitest.Self(t), "-h"))
}

// Ctrl-C must end the workers, even if only the primary receives the signal.
func TestInterrupt(t *testing.T) {
	clitest.RequireInterruptible(t, name, 3, clitest.Self(t), "-n", "2", "-below", endless)
	clitest.RequireInterruptible(t, name, 3, clitest.Self(t), "-n", "2", "-worker", "sleep 1000")
}

// When the primary is killed, busy workers must end at once.
func TestPrimaryKilled(t *testing.T) {
	cmd := clitest.Command(t, clitest.Self(t), "-n", "2", "-below", endless)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	out, counting := bufio.NewScanner(stdout), 0
	for counting < 2 && out.Scan() {
		if strings.Contains(out.Text(), "counting") {
			counting++
		}
	}
	require.Equal(t, 2, counting)
	require.NoError(t, cmd.Process.Kill())
	cmd.Wait()
}
