package clitest

import (
	"context"
	"errors"
	"math"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Never is a timeout for what a test is not about.
const Never = time.Hour

// lastWords is enough time to report a failure before go test ends the tests.
const lastWords = 10 * time.Second

// Deadline returns when a test gives up: a little before the -timeout of go test, so that the
// test can say what it waits for. No test gives up earlier, so that no result depends on the
// speed of the machine. Without a -timeout, Deadline returns the zero Time, which is no
// deadline for a connection either.
func Deadline(t *testing.T) time.Time {
	deadline, ok := t.Deadline()
	if !ok {
		return time.Time{}
	}
	return deadline.Add(-lastWords)
}

// Remaining returns the time until the Deadline.
func Remaining(t *testing.T) time.Duration {
	deadline := Deadline(t)
	if deadline.IsZero() {
		return math.MaxInt64
	}
	return time.Until(deadline)
}

// AtDeadline calls f at the Deadline. The caller must stop the timer.
func AtDeadline(t *testing.T, f func()) *time.Timer { return time.AfterFunc(Remaining(t), f) }

// Context returns a context that ends at the Deadline, and at the latest with the test.
func Context(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	timer := AtDeadline(t, cancel)
	t.Cleanup(func() { timer.Stop(); cancel() })
	return ctx
}

// Eventually waits until condition returns true.
func Eventually(t *testing.T, condition func() bool, failure ...any) {
	t.Helper()
	require.True(t, eventually(t, condition), failure...)
}

// maxPause between two looks is short for a test, and costs little.
const maxPause = 16 * time.Millisecond

// eventually waits until condition returns true, and reports whether it did.
func eventually(t *testing.T, condition func() bool) bool {
	for pause := time.Millisecond; !condition(); pause = min(2*pause, maxPause) {
		if Remaining(t) <= 0 {
			return false
		}
		time.Sleep(pause)
	}
	return true
}

// RequireRefused waits until connections to an address are refused.
func RequireRefused(t *testing.T, address string) {
	t.Helper()
	Eventually(t, func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	})
}

// RequirePortFree waits until an address is free.
func RequirePortFree(t *testing.T, address string) {
	t.Helper()
	Eventually(t, func() bool {
		l, err := net.Listen("tcp", address)
		return err == nil && l.Close() == nil
	})
}

// Soon gives up when this much time has passed and this many processes have run.
const (
	soon          = 2 * time.Second
	soonProcesses = 400
)

// Soon requires that condition returns true within two seconds. On a busy machine they are
// more, because meanwhile this process starts and awaits others, one after the other, and
// those take longer then, as does what the test waits for.
func Soon(t *testing.T, condition func() bool, failure ...any) {
	t.Helper()
	begun := time.Now()
	for i := 0; i < soonProcesses || time.Since(begun) < soon; i++ {
		if condition() {
			return
		}
		runOther(t)
	}
	require.True(t, condition(), failure...)
}

// Enough returns a timeout that passes soon and is long enough for what a test requires, even
// on a busy machine: n times as long as a program runs at this moment, by default a short one.
func Enough(t *testing.T, n int, program ...string) time.Duration {
	t.Helper()
	begun := time.Now()
	const sample = 5
	for range sample {
		runOther(t, program...)
	}
	took := time.Since(begun) / sample
	return (time.Duration(n) * took).Round(time.Millisecond)
}

// runOther runs a program, by default a short one.
func runOther(t *testing.T, program ...string) {
	t.Helper()
	if program == nil {
		program = []string{"true"}
	}
	cmd := exec.Command(program[0], program[1:]...)
	cmd.Env = append(os.Environ(), noExitSleep)
	require.NoError(t, cmd.Run())
}
