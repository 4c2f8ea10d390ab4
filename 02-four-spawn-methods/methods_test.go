package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
	"playing-with-processes/internal/ipc"
)

const name = "02-four-spawn-methods"

func TestMain(m *testing.M) { clitest.Main(m, main) }

// The tour's table is the lesson: each cell is what this run brought, in a form
// that a terminal can show.
func TestTour(t *testing.T) {
	got := clitest.Run(t, clitest.Self(t))
	require.Equal(t, 0, got.Code, got.Stderr)
	require.Empty(t, got.Stderr)

	table := map[string][]string{}
	cells := regexp.MustCompile(` {2,}`)
	for line := range strings.Lines(got.Stdout) {
		require.LessOrEqual(t, len(line), 81, "wider than a terminal: %s", line)
		if row := cells.Split(strings.TrimSpace(line), -1); len(row) == 5 {
			table[row[0]] = row[1:]
		}
	}
	for label, want := range map[string]string{
		"first output, end": `^\d+, \d+ ms$`,
		"its grandchild":    `^ended, \d+ ms$`,
	} {
		for _, cell := range table[label] {
			require.Regexp(t, want, cell)
		}
	}
	times := table["first output, end"]
	for i, streams := range []bool{true, false, false, true} {
		var first, last int
		_, err := fmt.Sscanf(times[i], "%d, %d ms", &first, &last)
		require.NoError(t, err)
		require.Equal(t, streams, first < last, "%s: %s", methods[i].name, times[i])
	}
	delete(table, "first output, end")
	delete(table, "its grandchild")
	killed := table["kill -9"][1] // some shells become the last program of a line, some stay and report it
	require.Contains(t, []string{"code 137", "SIGKILL"}, killed)
	require.Empty(t, cmp.Diff(map[string][]string{
		"$((6*7)) arrives as": {"$((6*7))", "42", "$((6*7))", "$((6*7))"},
		"the channel":         {"none", "none", "none", "descriptor 3"},
		"missing program":     {"ENOENT", "code 127", "ENOENT", "ENOENT"},
		"not executable":      {"EACCES", "code 126", "EACCES", "EACCES"},
		"missing directory":   {"ENOENT", "ENOENT", "ENOENT", "ENOENT"},
		"exit 3":              {"code 3", "code 3", "code 3", "code 3"},
		"kill -9":             {"SIGKILL", killed, "SIGKILL", "SIGKILL"},
		"a deadline":          {"SIGTERM by us", "SIGTERM by us", "SIGTERM by us", "SIGTERM by us"},
		"canceled":            {"Canceled", "Canceled", "Canceled", "Canceled"},
		"2 MiB of output":     {"2097152 bytes", "ErrMaxBuffer", "ErrMaxBuffer", "2097152 bytes"},
	}, table))

	_, theShell, found := strings.Cut(got.Stdout, "the shell interprets the name\n")
	require.True(t, found)
	require.Regexp(t, `^    cat: none: No such file or directory\n    I was run, too\n\[parent`, theShell)
	require.Equal(t, 1, strings.Count(got.Stdout, "    I was run, too\n"), "the others run nothing")

	stuck := regexp.MustCompile(`it has written (\d+), and is stuck`).FindStringSubmatch(got.Stdout)
	require.NotNil(t, stuck)
	written, err := strconv.Atoi(stuck[1])
	require.NoError(t, err)
	require.Less(t, written, 1<<20)
	require.Contains(t, got.Stdout, "now they are read: 1048576 bytes, and it ends: code 0\n")
}

// What went wrong can be asked with errors.Is and errors.As, of every method.
func TestErrors(t *testing.T) {
	self, log := clitest.Self(t), clitest.ForkSelf(t)
	isExit := func(want ExitError) func(*testing.T, error) {
		return func(t *testing.T, err error) {
			exit := new(ExitError)
			require.ErrorAs(t, err, &exit)
			require.Equal(t, want.Exit, exit.Exit)
			require.Equal(t, want.Killed, exit.Killed)
			log.Print(err)
		}
	}
	is := func(targets ...error) func(*testing.T, error) {
		return func(t *testing.T, err error) {
			for _, target := range targets {
				require.ErrorIs(t, err, target)
			}
			log.Print(err)
		}
	}
	short, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer stop()
	canceled, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	tests := []struct {
		name  string
		ctx   context.Context
		opts  Options
		words []string
		check func(*testing.T, error)
		only  string
	}{
		{"well", t.Context(), Options{}, []string{self, "child", "exit", "0"}, func(t *testing.T, err error) { require.NoError(t, err) }, ""},
		{"missing, in PATH", t.Context(), Options{}, []string{"no-such-program"}, is(fs.ErrNotExist, syscall.ENOENT), "spawn execFile fork"},
		{"missing, by path", t.Context(), Options{}, []string{"/no/such/program"}, is(fs.ErrNotExist, syscall.ENOENT), "spawn execFile fork"},
		{"missing, for a shell", t.Context(), Options{}, []string{"no-such-program"}, isExit(ExitError{Exit: ipc.Exit{Code: 127}}), "exec"},
		{"not executable", t.Context(), Options{}, []string{"/etc/passwd"}, is(fs.ErrPermission, syscall.EACCES), "spawn execFile fork"},
		{"missing directory", t.Context(), Options{Dir: "/no/such/directory"}, []string{"true"}, func(t *testing.T, err error) {
			failed := new(fs.PathError)
			require.ErrorAs(t, err, &failed)
			require.Equal(t, "/no/such/directory", failed.Path, "Node blames the program")
			require.ErrorIs(t, err, fs.ErrNotExist)
		}, ""},
		{"exit code", t.Context(), Options{}, []string{self, "child", "exit", "3"}, isExit(ExitError{Exit: ipc.Exit{Code: 3}}), ""},
		{"deadline", short, Options{}, []string{"sleep", "60"}, is(context.DeadlineExceeded), ""},
		{"deadline, signal", short, Options{KillSignal: syscall.SIGINT}, []string{"sleep", "60"}, is(context.DeadlineExceeded), ""},
		{"canceled", canceled, Options{}, []string{"sleep", "60"}, is(context.Canceled), ""},
		{"canceled before", over, Options{}, []string{"sleep", "60"}, is(context.Canceled), ""},
		{"maxBuffer", t.Context(), Options{MaxBuffer: 100}, []string{self, "child", "flood", "4096"}, is(ErrMaxBuffer), "exec execFile"},
	}
	for _, test := range tests {
		for _, m := range methods {
			if test.only == "" || strings.Contains(" "+test.only+" ", " "+m.name+" ") {
				t.Run(test.name+", "+m.name, func(t *testing.T) {
					test.check(t, m.try(test.ctx, test.opts, test.words[0], test.words[1:]...).err)
				})
			}
		}
	}
}

// ExecFile, and with it Exec, returns at the deadline though a descendant that
// ignores the signal holds the streams, and has ended all that do not ignore it.
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
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			stdout, _, err := run(ctx)
			require.ErrorIs(t, err, context.DeadlineExceeded)

			var obedient, deaf int
			_, err = fmt.Sscan(string(stdout), &obedient, &deaf)
			require.NoError(t, err, "%q", stdout)
			require.True(t, alive(deaf), "it should have held the streams")
			require.NoError(t, syscall.Kill(deaf, syscall.SIGKILL))
			for _, pid := range []int{obedient, deaf} {
				require.Eventually(t, func() bool { return !alive(pid) }, 30*time.Second, time.Millisecond, "a signal takes a moment")
			}
		})
	}
}

// A spawned program's streams are open both ways while it runs.
func TestSpawnIsADialogue(t *testing.T) {
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

// A forked program's channel carries messages both ways, to a Node child as well.
func TestForkIsADialogue(t *testing.T) {
	clitest.NeedNode(t)
	const echo = `process.on('message', (m) => process.send({ heard: m }))`
	child, err := Fork(t.Context(), Options{}, "node", "-e", echo)
	require.NoError(t, err)
	require.NoError(t, child.Send(t.Context(), "中文"))
	for message, err := range child.Messages() {
		require.NoError(t, err)
		require.JSONEq(t, `{"heard":"中文"}`, string(message.Data))
		break
	}
	require.NoError(t, child.Disconnect())
	require.NoError(t, child.Wait())
}

// The notes' index.js says how it was started, by whom ever.
func TestNotesProgram(t *testing.T) {
	clitest.NeedNode(t)
	for _, m := range methods {
		o := m.try(t.Context(), Options{}, "node", "node/index.js", "a")
		require.NoError(t, o.err)
		var said struct {
			Args    []string
			Channel bool
		}
		require.NoError(t, o.decode(&said))
		require.Equal(t, []string{"a"}, said.Args)
		require.Equal(t, m.name == "fork", said.Channel)

		got := clitest.Run(t, "node", "node/"+strings.ToLower(m.name)+".js")
		require.Equal(t, 0, got.Code, got.Stderr)
		require.Contains(t, got.Stdout, fmt.Sprint(m.name == "fork"))
	}
}

// Whatever becomes of a run, it leaves no descriptor open.
func TestNoDescriptorIsLeft(t *testing.T) {
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
	// The collector would close what was forgotten.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	runs() // opens what the runtime keeps
	before := count()
	for range 5 {
		runs()
	}
	require.Equal(t, before, count())
}

// An argument reaches the program as it is, from execFile always, from exec when
// it is quoted.
func FuzzArguments(f *testing.F) {
	for _, argument := range []string{"", " ", "a  b", "$((6*7))", "`id`", "$HOME", "*", "'", `"`, `\`, "'\\''", ";", "&", "|", ">x", "#", "~", "-n", "\n", "\t", "中文", "\xff", "!!", "{a,b}", "%s"} {
		f.Add(argument)
	}
	f.Fuzz(func(t *testing.T, argument string) {
		if strings.ContainsRune(argument, 0) || len(argument) > 10_000 {
			t.Skip("no argument of any program")
		}
		stdout, _, err := ExecFile(t.Context(), Options{}, "printf", "%s.", argument)
		require.NoError(t, err)
		require.Equal(t, argument+".", string(stdout))
		stdout, _, err = Exec(t.Context(), Options{}, "printf %s. "+Quote(argument))
		require.NoError(t, err)
		require.Equal(t, argument+".", string(stdout))
	})
}

// Bad input gets one clear line and an exit code that says whose fault it is.
func TestBadInput(t *testing.T) {
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"-x"}, 2, "flag provided but not defined: -x"},
		{[]string{"-timeout"}, 2, "flag needs an argument: -timeout"},
		{[]string{"-timeout", "1"}, 2, `invalid value "1" for flag -timeout`},
		{[]string{"-timeout", "-1s", "exec", "true"}, 2, "-timeout"},
		{[]string{"-maxBuffer", "0", "exec", "true"}, 2, "-maxBuffer"},
		{[]string{"-killSignal", "SIGFOO", "exec", "true"}, 2, "-killSignal SIGFOO: there is no such signal"},
		{[]string{"-cwd", "/"}, 2, "a METHOD and a PROGRAM are needed"},
		{[]string{"exec"}, 2, "a METHOD and a PROGRAM are needed"},
		{[]string{"system", "true"}, 2, `"system" is none of spawn, exec, execFile, fork`},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			got := clitest.Run(t, append([]string{clitest.Self(t)}, test.args...)...)
			clitest.RequireComplaint(t, got, test.code, name, test.want)
		})
	}
}

// Where no process may be started, the tour says so in one line.
func TestNoRoom(t *testing.T) {
	clitest.RequireComplaint(t, clitest.RunLimited(t, "-n 16"), 1, name, "too many open files")
}

func TestHelp(t *testing.T) {
	require.Equal(t, clitest.Result{Stdout: usage}, clitest.Run(t, clitest.Self(t), "-h"))
}

// Ctrl-C ends what was started, in the middle of the tour as well.
func TestInterrupt(t *testing.T) {
	clitest.RequireInterruptible(t, name, 5, clitest.Self(t))
	script := filepath.Join(t.TempDir(), "talk.sh")
	require.NoError(t, os.WriteFile(script, []byte("echo here; exec sleep 60"), 0o755))
	clitest.RequireInterruptible(t, name, 1, clitest.Self(t), "fork", script)
}
