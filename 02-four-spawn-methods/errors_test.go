package main

import (
	"cmp"
	"context"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
	"playing-with-processes/internal/ipc"
)

// errors.Is and errors.As must tell why a run failed, for each method.
func TestErrors(t *testing.T) {
	self, log := clitest.Self(t), clitest.ForkSelf(t)
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	const moment = 100 * time.Millisecond
	for _, test := range []errorTest{
		{name: "code 0", words: []string{self, "child", "exit", "0"}, check: succeeds},
		{name: "missing, in PATH", only: "spawn execFile fork",
			words: []string{"no-such-program"}, check: is(fs.ErrNotExist, syscall.ENOENT)},
		{name: "missing, by path", only: "spawn execFile fork",
			words: []string{"/no/such/program"}, check: is(fs.ErrNotExist, syscall.ENOENT)},
		{name: "missing, for a shell", only: "exec",
			words: []string{"no-such-program"}, check: isExit(ExitError{Exit: ipc.Exit{Code: 127}})},
		{name: "not executable", only: "spawn execFile fork",
			words: []string{"/etc/passwd"}, check: is(fs.ErrPermission, syscall.EACCES)},
		{name: "empty name", only: "spawn execFile fork", words: []string{""}, check: is(fs.ErrInvalid)},
		{name: "long name", only: "spawn execFile fork",
			words: []string{strings.Repeat("x", 256)}, check: is(syscall.ENAMETOOLONG)},
		{name: "missing directory", opts: Options{Dir: "/no/such/directory"},
			words: []string{"true"}, check: namesDirectory},
		{name: "exit code",
			words: []string{self, "child", "exit", "3"}, check: isExit(ExitError{Exit: ipc.Exit{Code: 3}})},
		{name: "deadline", timeout: moment,
			words: []string{"sleep", "60"}, check: is(context.DeadlineExceeded)},
		{name: "deadline, signal", timeout: moment, opts: Options{KillSignal: syscall.SIGINT},
			words: []string{"sleep", "60"}, check: is(context.DeadlineExceeded)},
		{name: "canceled", abort: moment, words: []string{"sleep", "60"}, check: is(context.Canceled)},
		{name: "canceled before", ctx: canceled, words: []string{"sleep", "60"}, check: is(context.Canceled)},
		{name: "maxBuffer", only: "exec execFile", opts: Options{MaxBuffer: 100},
			words: []string{self, "child", "flood", "4096"}, check: is(ErrMaxBuffer)},
	} {
		for _, m := range methods {
			if test.only == "" || slices.Contains(strings.Fields(test.only), m.name) {
				t.Run(test.name+", "+m.name, func(t *testing.T) {
					err := test.run(t, m)
					log.Print(err)
					test.check(t, err)
				})
			}
		}
	}
}

// errorTest is a run, and a check of its error.
type errorTest struct {
	name           string
	only           string          // the methods that have the case, or "" for all
	ctx            context.Context // nil is the context of the test
	timeout, abort time.Duration
	opts           Options
	words          []string
	check          func(*testing.T, error)
}

func (test errorTest) run(t *testing.T, m method) error {
	ctx, cancel := limited(cmp.Or(test.ctx, t.Context()), test.timeout, test.abort)
	defer cancel()
	return m.try(ctx, test.opts, test.words[0], test.words[1:]...).err
}

func succeeds(t *testing.T, err error) { require.NoError(t, err) }

// is returns a check that an error matches each target.
func is(targets ...error) func(*testing.T, error) {
	return func(t *testing.T, err error) {
		for _, target := range targets {
			require.ErrorIs(t, err, target)
		}
	}
}

// isExit returns a check that an error is this *ExitError.
func isExit(want ExitError) func(*testing.T, error) {
	return func(t *testing.T, err error) {
		exit := new(ExitError)
		require.ErrorAs(t, err, &exit)
		require.Equal(t, want.Exit, exit.Exit)
		require.Equal(t, want.Killed, exit.Killed)
	}
}

// namesDirectory checks that an error names the missing directory. Node's names the
// program.
func namesDirectory(t *testing.T, err error) {
	failed := new(fs.PathError)
	require.ErrorAs(t, err, &failed)
	require.Equal(t, "/no/such/directory", failed.Path)
	require.ErrorIs(t, err, fs.ErrNotExist)
}
