package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
)

// Exec and ExecFile must return at the deadline, even if a descendant ignores the signal
// and holds the streams. Descendants that do not ignore the signal must end.
func TestDeadlineAndGrandchildren(t *testing.T) {
	clitest.ForkSelf(t)
	const script = `sleep 60 & echo $!; (trap '' TERM; exec sleep 60) & echo $!; wait`
	for name, run := range map[string]func(context.Context) ([]byte, []byte, error){
		"exec": func(ctx context.Context) ([]byte, []byte, error) { return Exec(ctx, Options{}, script) },
		"execFile": func(ctx context.Context) ([]byte, []byte, error) {
			return ExecFile(ctx, Options{}, shell, "-c", script)
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), clitest.Enough(t, 200))
			defer cancel()
			stdout, _, err := run(ctx)
			require.ErrorIs(t, err, context.DeadlineExceeded)

			var normal, ignoring int
			_, err = fmt.Sscan(string(stdout), &normal, &ignoring)
			require.NoError(t, err, "%q", stdout)
			require.True(t, alive(ignoring), "it must hold the streams")
			require.NoError(t, syscall.Kill(ignoring, syscall.SIGKILL))
			for _, pid := range []int{normal, ignoring} {
				clitest.Eventually(t, func() bool { return !alive(pid) }, "a signal takes a moment")
			}
		})
	}
}

// When the context ends after the program's own exit, the descendants that hold its streams
// must end: otherwise the method would wait for them.
func TestDeadlineAfterExit(t *testing.T) {
	const script = `sleep 600 & echo $! >"$0"; exit 3`
	for name, run := range map[string]func(ctx context.Context, file string) error{
		"spawn": func(ctx context.Context, file string) error {
			return trySpawn(ctx, Options{}, shell, "-c", script, file).err
		},
		"execFile": func(ctx context.Context, file string) error {
			return tryExecFile(ctx, Options{}, shell, "-c", script, file).err
		},
		"exec": func(ctx context.Context, file string) error {
			_, _, err := Exec(ctx, Options{}, strings.ReplaceAll(script, `"$0"`, Quote(file)))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), clitest.Enough(t, 200))
			defer cancel()
			file := filepath.Join(t.TempDir(), "pid")
			exit, ok := errors.AsType[*ExitError](run(ctx, file))
			require.True(t, ok)
			require.Equal(t, 3, exit.Code)
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
			require.NoError(t, err)
			clitest.Eventually(t, func() bool { return !alive(pid) })
		})
	}
}

// The streams of a spawned program must be open in both directions while it runs.
func TestSpawnStreams(t *testing.T) {
	p, err := Spawn(t.Context(), Options{}, "cat")
	require.NoError(t, err)
	for _, line := range []string{"one\n", "two\n"} {
		_, err := io.WriteString(p.Stdin, line)
		require.NoError(t, err)
		answer := make([]byte, len(line))
		_, err = io.ReadFull(p.Stdout, answer)
		require.NoError(t, err)
		require.Equal(t, line, string(answer))
	}
	require.NoError(t, p.Stdin.Close())
	rest, err := io.ReadAll(p.Stdout)
	require.NoError(t, err)
	require.Empty(t, rest)
	require.NoError(t, p.Wait())
}

// The channel of a forked program must carry messages in both directions, also with Node.
func TestForkMessages(t *testing.T) {
	clitest.NeedNode(t)
	const echo = `process.on('message', (m) => process.send({ received: m }))`
	child, err := Fork(t.Context(), Options{}, "node", "-e", echo)
	require.NoError(t, err)
	require.NoError(t, child.Send(t.Context(), "中文"))
	for message, err := range child.Messages() {
		require.NoError(t, err)
		require.JSONEq(t, `{"received":"中文"}`, string(message.Data))
		break
	}
	require.NoError(t, child.Disconnect())
	require.NoError(t, child.Wait())
}

// The notes' index.js must print its arguments and whether it has a channel, when our
// methods start it and when Node's do.
func TestNotesProgram(t *testing.T) {
	clitest.NeedNode(t)
	for _, m := range methods {
		o := m.try(t.Context(), Options{}, "node", "node/index.js", "a")
		require.NoError(t, o.err)
		var printed struct {
			Args    []string
			Channel bool
		}
		require.NoError(t, o.decode(&printed))
		require.Equal(t, []string{"a"}, printed.Args)
		require.Equal(t, m.name == "fork", printed.Channel)

		got := clitest.Run(t, "node", "node/"+strings.ToLower(m.name)+".js")
		require.Equal(t, 0, got.Code, got.Stderr)
		require.Contains(t, got.Stdout, fmt.Sprint(m.name == "fork"))
	}
}

// A run must leave no descriptor open, however it ends.
func TestNoDescriptorLeaks(t *testing.T) {
	count := func() int {
		entries, err := os.ReadDir("/dev/fd")
		require.NoError(t, err)
		return len(entries)
	}
	runs := func() {
		for _, m := range methods {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			for _, words := range [][]string{{"true"}, {"/no/such/program"}, {"/etc/passwd"}, {"sleep", "60"}, {"head", "-c", "2000", "/dev/zero"}} {
				m.try(ctx, Options{MaxBuffer: 1000}, words[0], words[1:]...)
				m.try(t.Context(), Options{MaxBuffer: 1000, Dir: "/no/such/directory"}, words[0], words[1:]...)
			}
			cancel()
		}
	}
	// The garbage collector would close forgotten descriptors.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	runs() // opens the descriptors that the runtime keeps
	before := count()
	for range 5 {
		runs()
	}
	require.Equal(t, before, count())
}

// ExecFile must pass any argument to the program unchanged, and so must Exec if the
// argument is quoted.
func FuzzArguments(f *testing.F) {
	for _, argument := range []string{"", " ", "a  b", "$((6*7))", "`id`", "$HOME", "*", "'", `"`, `\`, "'\\''", ";", "&", "|", ">x", "#", "~", "-n", "\n", "\t", "中文", "\xff", "!!", "{a,b}", "%s"} {
		f.Add(argument)
	}
	f.Fuzz(func(t *testing.T, argument string) {
		if strings.ContainsRune(argument, 0) || len(argument) > 10_000 {
			t.Skip("no program can have this argument")
		}
		stdout, _, err := ExecFile(t.Context(), Options{}, "printf", "%s.", argument)
		require.NoError(t, err)
		require.Equal(t, argument+".", string(stdout))
		stdout, _, err = Exec(t.Context(), Options{}, "printf %s. "+Quote(argument))
		require.NoError(t, err)
		require.Equal(t, argument+".", string(stdout))
	})
}
