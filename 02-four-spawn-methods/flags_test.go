package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

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
