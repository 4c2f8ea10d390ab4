package ipc

import (
	"context"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A line that is no message is an error value, and the channel goes on.
func TestHostileLines(t *testing.T) {
	for _, test := range []struct{ name, line, want string }{
		{"blank line", "", "EOF"},
		{"blanks", " \t\r", "EOF"},
		{"invalid JSON", "{nonsense}", "invalid character"},
		{"half a value", `{"a":`, "unexpected EOF"},
		{"BOM", "\ufeff1", "invalid character"},
		{"raw NUL", "\x00", "invalid character"},
		{"NUL in a string", "\"\x00\"", "invalid character"},
		{"two values", "1 2", "invalid character"},
		{"internal, but cut", `{"cmd":"NODE_HANDLE"`, "unexpected EOF"},
		{"nested too deep", strings.Repeat("[", 1<<20), "depth"},
	} {
		t.Run(test.name, func(t *testing.T) {
			noLeaks(t)
			c, p := pair(t, Config{})
			go p.Write([]byte(test.line + "\n\"go on\"\n"))
			var v any
			require.ErrorContains(t, receive(t, c).Decode(&v), test.want)
			require.NoError(t, receive(t, c).Decode(&v))
			require.Equal(t, "go on", v)
		})
	}
}

// What Node's JSON.parse accepts is accepted.
func TestTolerantAsNode(t *testing.T) {
	for _, test := range []struct {
		name, line string
		want       any
	}{
		{"invalid UTF-8", "\"a\xffb\"", "a\ufffdb"},
		{"lone surrogate", `"\ud800"`, "\ufffd"},
		{"blanks around", " \t1\r", 1.0},
		{"duplicate keys", `{"a":1,"a":2}`, map[string]any{"a": 2.0}},
		{"beyond 2^53", "9007199254740993", 9007199254740992.0},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, p := pair(t, Config{})
			p.write("%s\n", test.line)
			var got any
			require.NoError(t, receive(t, c).Decode(&got))
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func init() {
	roles["endless-line"] = func() {
		parent, err := Parent()
		if err != nil {
			panic(err)
		}
		chunk := []byte(strings.Repeat("x", 1<<20))
		for range 1 << 10 {
			if _, err := parent.socket.send(chunk, nil, 0); err != nil {
				return
			}
		}
	}
}

// A line of 1 GiB without an end is stopped at the limit, with bounded memory.
func TestEndlessLine(t *testing.T) {
	noLeaks(t)
	child := fork(t, role(t, "endless-line"))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := receiveAny(t, child.Channel)
	require.ErrorIs(t, err, ErrLineTooLong)
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(200<<20))
	_, err = child.Wait()
	require.NoError(t, err)
}

const (
	aHandle = `{"cmd":"NODE_HANDLE","type":"net.Socket","msg":"handle"}` + "\n"
	goOn    = `"go on"` + "\n"
)

// Answers to nothing are ignored (Node dies of them), and the next handle finds
// its own.
func TestStrayAnswers(t *testing.T) {
	noLeaks(t)
	c, p := pair(t, Config{})
	p.write("%s\n%s\n%s\n%s", lineACK, lineACK, lineNACK, goOn)
	receive(t, c)
	results := flying(t, c, 1, 1)
	p.line()
	p.write("%s\n%s\n%s", lineACK, lineACK, goOn)
	require.Equal(t, []error{nil}, results())
	receive(t, c)
	results = flying(t, c, 1, 1)
	p.line()
	p.write("%s\n", lineNACK)
	require.ErrorIs(t, results()[0], ErrHandleLost)
}

// A peer that never reads: Send ends with its context, Disconnect within its
// grace, and no goroutine stays behind.
func TestPeerThatNeverReads(t *testing.T) {
	noLeaks(t)
	c, _ := pair(t, Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	var err error
	for err == nil {
		err = c.Send(ctx, strings.Repeat("x", 1<<20))
	}
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, c.Disconnect())
}

// A peer that closes with unread input makes our read fail with ECONNRESET: a
// plain disconnect, after all that it wrote.
func TestUnreadInputIsAPlainDisconnect(t *testing.T) {
	noLeaks(t)
	c, p := pair(t, Config{})
	require.NoError(t, c.Send(testContext(t), "unread"))
	p.write("1\n2\n")
	p.Close()
	data, errs := everything(t, c)
	require.Equal(t, []string{"1", "2"}, data)
	require.Empty(t, errs)
	require.ErrorIs(t, c.Send(testContext(t), 1), ErrClosed)
}

// Both sides send handles to each other and nobody reads messages: each reads
// what it must, for the acknowledgements.
func TestHandlesBothWays(t *testing.T) {
	noLeaks(t)
	a, b := twoChannels(t)
	there, back := flying(t, a, 100, "there"), flying(t, b, 100, "back")
	require.Equal(t, make([]error, 100), there())
	require.Equal(t, make([]error, 100), back())
	for range 100 {
		require.NoError(t, receive(t, a).Close())
		require.NoError(t, receive(t, b).Close())
	}
}

// A flood of messages nobody reads stays in the kernel: the sender waits.
func TestFloodWaitsInTheKernel(t *testing.T) {
	noLeaks(t)
	c, p := pair(t, Config{})
	receiveOne := func() { p.write("0\n"); receive(t, c) }
	receiveOne()
	p.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	var err error
	for err == nil {
		_, err = p.Write([]byte(strings.Repeat("1\n", 1<<10)))
	}
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	c.mu.Lock()
	defer c.mu.Unlock()
	require.Nil(t, c.inbox.first)
}

// A disconnect of ours is no error to who is reading, whatever has come.
func TestDisconnectWhileReading(t *testing.T) {
	noLeaks(t)
	for range 200 {
		c, p := pair(t, Config{})
		errs := make(chan []error)
		go func() {
			var all []error
			for _, err := range c.Messages() {
				if err != nil {
					all = append(all, err)
				}
			}
			errs <- all
		}()
		p.write("1\n{\"half")
		c.Disconnect()
		require.Empty(t, <-errs)
	}
}

// A socket that lingers, as the peer has set it, does not hold up its closing.
func TestLingeringSocket(t *testing.T) {
	const linger = 60 // seconds
	for _, test := range []struct{ name, line string }{
		{"that nobody claimed", "1\n"},
		{"that nobody took", aHandle},
	} {
		t.Run(test.name, func(t *testing.T) {
			noLeaks(t)
			c, p := pair(t, Config{})
			conn := fullSocket(t)
			require.NoError(t, conn.SetLinger(linger))
			raw, err := conn.SyscallConn()
			require.NoError(t, err)
			raw.Control(func(fd uintptr) { p.pass(test.line, int(fd)) })
			msg := receive(t, c)
			conn.Close() // not the last copy, so at once

			start := time.Now()
			msg.Close()
			c.Disconnect()
			require.Less(t, time.Since(start), linger*time.Second/2)
		})
	}
}

// fullSocket is a connection that can take no more, because nobody reads.
func fullSocket(t *testing.T) *net.TCPConn {
	t.Helper()
	ln := listener(t)
	conn, err := net.Dial("tcp", ln.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	other, err := ln.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { other.Close() })
	conn.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	for err == nil {
		_, err = conn.Write(make([]byte, 1<<20))
	}
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	return conn.(*net.TCPConn)
}

// When this process is out of descriptors the handle cannot be installed; the
// sender learns that, and the next one arrives.
func TestOutOfDescriptors(t *testing.T) {
	noLeaks(t)
	c, p := pair(t, Config{})
	with := newPlug(t)
	var old unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &old))
	taken, err := unix.Dup(with.far) // all numbers below this one are in use, or will be
	require.NoError(t, err)
	defer unix.Close(taken)
	var fill []int
	defer func() {
		for _, fd := range fill {
			unix.Close(fd)
		}
	}()
	low := old
	low.Cur = uint64(taken) + 10
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &low))
	for {
		fd, err := unix.Dup(with.far)
		if err != nil {
			break
		}
		fill = append(fill, fd)
	}
	p.pass(aHandle, with.far)
	_, err = receiveAny(t, c)
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &old))
	require.ErrorIs(t, err, ErrHandleLost)
	require.Equal(t, lineNACK, p.line())
	p.pass(aHandle, with.far)
	with.requireIn(t, receive(t, c))
}
