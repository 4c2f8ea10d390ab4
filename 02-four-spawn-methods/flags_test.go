package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"playing-with-processes/internal/clitest"
)

// Wrong usage must be reported in one line and with exit code 2.
func TestUsageErrors(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"-x"}, "flag provided but not defined: -x"},
		{[]string{"-timeout"}, "flag needs an argument: -timeout"},
		{[]string{"-timeout", "1"}, `invalid value "1" for flag -timeout`},
		{[]string{"-timeout", "-1s", "exec", "true"}, "-timeout"},
		{[]string{"-maxBuffer", "0", "exec", "true"}, "-maxBuffer"},
		{[]string{"-killSignal", "SIGFOO", "exec", "true"}, "-killSignal SIGFOO: there is no such signal"},
		{[]string{"-cwd", "/"}, "a METHOD and a PROGRAM are needed"},
		{[]string{"exec"}, "a METHOD and a PROGRAM are needed"},
		{[]string{"exec", "-timeout", "1s", "true"}, "-timeout must come before the METHOD"},
		{[]string{"system", "true"}, `"system" is none of spawn, exec, execFile, fork`},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			got := clitest.Run(t, append([]string{clitest.Self(t)}, test.args...)...)
			clitest.RequireError(t, got, 2, name, test.want)
		})
	}
}

// If no process can be started, the command must report that in one line.
func TestLimit(t *testing.T) {
	clitest.RequireError(t, clitest.RunLimited(t, "-n 16"), 1, name, "too many open files")
}

func TestHelp(t *testing.T) {
	require.Equal(t, clitest.Result{Stdout: usage}, clitest.Run(t, clitest.Self(t), "-h"))
}

// Ctrl-C must end every program that was started, during the comparison and in a single
// run.
func TestInterrupt(t *testing.T) {
	clitest.RequireInterruptible(t, name, 5, clitest.Self(t))
	script := filepath.Join(t.TempDir(), "script.sh")
	require.NoError(t, os.WriteFile(script, []byte("echo started; exec sleep 60"), 0o755))
	clitest.RequireInterruptible(t, name, 1, clitest.Self(t), "fork", script)
}

// Under nohup a program must still get the signal that -killSignal names.
func TestKillSignalUnderNohup(t *testing.T) {
	const script = `trap "" HUP; exec "$0" -killSignal SIGHUP -timeout 100ms execFile sleep 600`
	got := clitest.Run(t, "sh", "-c", script, clitest.Self(t))
	require.Contains(t, got.Stdout, `"signal":"SIGHUP","killed":true`)
}

// The channel that the command itself was forked with must not reach the programs it starts,
// neither as a variable nor as a descriptor.
func TestOwnChannelIsHidden(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	require.NoError(t, err)
	end := os.NewFile(uintptr(pair[0]), "channel")
	defer end.Close()
	defer unix.Close(pair[1])
	for _, method := range []string{"spawn", "execFile", "exec"} {
		words := []string{clitest.Self(t), method, shell, "-c", `echo ${NODE_CHANNEL_FD-none}; test -e /dev/fd/3 && echo open`}
		if method == "exec" {
			words = append(words[:2], words[4])
		}
		cmd := clitest.Command(t, words...)
		cmd.ExtraFiles = []*os.File{end}
		cmd.Env = append(cmd.Env, "NODE_CHANNEL_FD=3", "NODE_CHANNEL_SERIALIZATION_MODE=json")
		require.Contains(t, clitest.Finish(t, cmd).Stdout, `"stdout":"none\n"`, method)
	}
}
