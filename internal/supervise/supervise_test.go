package supervise

import (
	"context"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/ipc"
)

// patience turns a hang into a failure.
const patience = 30 * time.Second

// replaceStderr lets a test read what the Voices say. They may still use it when the test
// is over.
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

func start(t *testing.T, held bool, script string) *Process {
	t.Helper()
	p, err := Start(ipc.Config{}, exec.Command("sh", "-c", script), held)
	require.NoError(t, err)
	go func() {
		for range p.Messages() {
		}
	}()
	t.Cleanup(func() { p.Signal(syscall.SIGKILL); <-p.Gone() })
	return p
}

// Where nobody reads standard error, the end of a worker is still noticed.
func TestVoiceIsNotWaitedFor(t *testing.T) {
	replaceStderr(t)
	p := start(t, false, "head -c 1000000 /dev/zero >&2; exit 3")
	require.True(t, p.EndsWithin(patience))
	require.Equal(t, 3, p.Exit().Code)
}

// What is said is passed on whole and in order, and before the end is known.
func TestVoice(t *testing.T) {
	read := replaceStderr(t)
	p := start(t, false, "echo one >&2; echo two >&2")
	<-p.Gone()
	os.Stderr.Close()
	said := make([]byte, 100)
	n, err := read.Read(said)
	require.NoError(t, err)
	require.Equal(t, "one\ntwo\n", string(said[:n]))
	line, ok := p.Voice.Gist()
	require.True(t, ok)
	require.Equal(t, "two", line)
}

// One that is held is heard when it is released, once.
func TestVoiceHeld(t *testing.T) {
	read := replaceStderr(t)
	p := start(t, true, "echo held >&2; read go <&3; echo free >&2")
	require.Eventually(t, func() bool { _, ok := p.Voice.Gist(); return ok }, patience, time.Millisecond)
	p.Voice.Release()
	p.Voice.Release()
	require.NoError(t, p.Send(t.Context(), "go"))
	<-p.Gone()
	os.Stderr.Close()
	said := make([]byte, 100)
	n, _ := read.Read(said)
	if more, _ := read.Read(said[n:]); more > 0 { // two writes may be two reads
		n += more
	}
	require.Equal(t, "held\nfree\n", string(said[:n]))
}

// The ladder, rung by rung: to ask is enough for some, SIGTERM for others, and the rest
// needs SIGKILL.
func TestLadder(t *testing.T) {
	for name, test := range map[string]struct {
		script   string
		patience time.Duration
		want     ipc.Exit
	}{
		"asked":   {"echo 1 >&3; read go <&3; exit 5", patience, ipc.Exit{Code: 5}},
		"SIGTERM": {"echo 1 >&3; sleep 100", 0, ipc.Exit{Code: -1, Signal: syscall.SIGTERM}},
		"SIGKILL": {"trap '' TERM; echo 1 >&3; sleep 100", 0, ipc.Exit{Code: -1, Signal: syscall.SIGKILL}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := Start(ipc.Config{}, exec.Command("sh", "-c", test.script), false)
			require.NoError(t, err)
			for range p.Messages() { // it is ready
				break
			}
			p.Stop(func(ctx context.Context) { p.Send(ctx, "go") }, test.patience)
			p.Disconnect()
			require.Equal(t, test.want, p.Exit())
		})
	}
}
