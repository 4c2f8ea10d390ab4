package ipc

import (
	"context"
	"io"
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

// Half a line, then the end: what was lost is told, once, and it is the end.
func TestHalfALine(t *testing.T) {
	noLeaks(t)
	c, p := pair(t, Config{})
	p.write("1\n{\"a\":")
	p.Close()
	data, errs := everything(t, c)
	require.Equal(t, []string{"1"}, data)
	require.Len(t, errs, 1)
	require.ErrorIs(t, errs[0], io.ErrUnexpectedEOF)
}

// Bytes that come one at a time are the same messages, descriptors too.
func TestDribbled(t *testing.T) {
	noLeaks(t)
	c, p := pair(t, Config{})
	ours, theirs := connection(t)
	line := `{"cmd":"NODE_HANDLE","type":"net.Socket","msg":"中文"}` + "\n"
	p.pass(line[:1], theirs)
	go func() {
		for i := range len(line) - 1 {
			p.Write([]byte(line[i+1 : i+2]))
		}
	}()
	msg := receive(t, c)
	require.Equal(t, `"中文"`, string(msg.Data))
	requireConnected(t, msg, ours)
}

// requireConnected checks that msg brought the other end of fd.
func requireConnected(t *testing.T, msg Message, fd int) {
	t.Helper()
	conn, err := msg.Conn()
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Write([]byte("x"))
	require.NoError(t, err)
	var buf [2]byte
	n, err := unix.Read(fd, buf[:])
	require.NoError(t, err)
	require.Equal(t, "x", string(buf[:n]))
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

// Handles that are not what they should be are refused, closed and told; the
// next good one has its own descriptor.
func TestHostileHandles(t *testing.T) {
	file, err := os.Open("/dev/null")
	require.NoError(t, err)
	defer file.Close()
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	defer reader.Close()
	defer writer.Close()
	for _, test := range []struct {
		name string
		send func(t *testing.T, p *peer)
		want []string // the channel's answers
		errs int      // what the receiver is told
	}{
		{"no descriptor", func(t *testing.T, p *peer) { p.write("%s", aHandle) }, []string{lineNACK}, 1},
		{"no NODE_HANDLE", func(t *testing.T, p *peer) { _, fd := connection(t); p.pass("1\n", fd) }, nil, 0},
		{"regular file", func(t *testing.T, p *peer) { p.pass(aHandle, int(file.Fd())) }, []string{lineNACK}, 1},
		{"pipe", func(t *testing.T, p *peer) { p.pass(aHandle, int(reader.Fd())) }, []string{lineNACK}, 1},
		{"200 descriptors", func(t *testing.T, p *peer) {
			_, fd := connection(t)
			fds := make([]int, 200)
			for i := range fds {
				fds[i] = fd
			}
			p.pass("1\n", fds...)
		}, nil, 0},
		{"unknown command inside", func(t *testing.T, p *peer) {
			_, fd := connection(t)
			p.pass(`{"cmd":"NODE_HANDLE","msg":{"cmd":"NODE_X"}}`+"\n", fd)
		}, []string{lineACK}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			noLeaks(t)
			c, p := pair(t, Config{})
			test.send(t, p)
			p.write(goOn)
			errs := 0
			for string(next(t, c, &errs).Data) != `"go on"` {
			}
			require.Equal(t, test.errs, errs)
			for _, want := range test.want {
				require.Equal(t, want, p.line())
			}
			ours, theirs := connection(t)
			p.pass(aHandle, theirs)
			requireConnected(t, receive(t, c), ours)
			require.Equal(t, lineACK, p.line())
		})
	}
}

// next is the next message; lost handles before it are counted.
func next(t *testing.T, c *Channel, lost *int) Message {
	t.Helper()
	for {
		msg, err := receiveAny(t, c)
		if err == nil {
			return msg
		}
		require.ErrorIs(t, err, ErrHandleLost)
		*lost++
	}
}

// Descriptors that come with every byte of a line without end do not add up.
func TestDescriptorsWithoutEnd(t *testing.T) {
	noLeaks(t)
	c, p := pair(t, Config{})
	_, fd := connection(t)
	before := len(openDescriptors(t))
	go func() {
		for range 300 {
			p.WriteMsgUnix([]byte("x"), unix.UnixRights(fd, fd, fd), nil)
		}
		p.Write([]byte("\n1\n"))
	}()
	receive(t, c)
	receive(t, c)
	require.LessOrEqual(t, len(openDescriptors(t)), before+1)
}

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

// An acknowledgement that comes before the handle has left harms nobody else:
// the descriptor that travels in the end is still the right one.
func TestForgedAnswer(t *testing.T) {
	noLeaks(t)
	c, p := pair(t, Config{})
	ctx, cancel := context.WithCancel(t.Context())
	full := make(chan error)
	go func() { full <- c.Send(ctx, strings.Repeat("x", 4<<20)) }()
	_, err := p.in.Peek(1)
	require.NoError(t, err)
	cancel() // the channel is clogged now, and nobody waits for that
	require.ErrorIs(t, <-full, context.Canceled)
	results := flying(t, c, 1, "x")
	p.write("%s\n%s", lineACK, goOn)
	receive(t, c)
	p.line()
	require.Contains(t, p.line(), "NODE_HANDLE")
	p.write("%s\n", lineACK)
	require.NoError(t, results()[0])
	kind, _, err := kindOf(p.arrived[0])
	require.NoError(t, err)
	require.Equal(t, kindServer, kind)
}

// Node's own commands that we do not know, or cannot read, are ignored.
func TestUnknownCommands(t *testing.T) {
	noLeaks(t)
	c, p := pair(t, Config{})
	for _, line := range []string{
		`{"cmd":"NODE_WHATEVER"}`, `{"a":1,"cmd":"NODE_X","seq":0}`, `{"cmd":"\u004eODE_X"}`,
		`{"cmd":"NODE_HANDLE_ACK","msg":7}`, `{"cmd":"NODE_SOCKET_COUNT","key":{},"count":"many"}`, `{"cmd":"NODE_CLUSTER","act":"online"}`,
	} {
		p.write("%s\n", line)
	}
	p.write(goOn)
	require.Equal(t, `"go on"`, string(receive(t, c).Data))
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

// A peer that never acknowledges: SendHandle ends with its context, and our
// copy of the handle with the channel.
func TestPeerThatNeverAcknowledges(t *testing.T) {
	noLeaks(t)
	c, p := pair(t, Config{})
	ln := listener(t)
	ctx, cancel := context.WithCancel(t.Context())
	sent := make(chan error)
	go func() { sent <- c.SendHandle(ctx, 1, ln) }()
	p.line()
	cancel()
	require.ErrorIs(t, <-sent, context.Canceled)
	go func() { sent <- c.SendHandle(context.Background(), 1, ln) }()
	p.line()
	require.NoError(t, c.Disconnect())
	require.ErrorIs(t, <-sent, ErrClosed)
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

// Handles that nobody takes are refused beyond a number: they are descriptors
// of ours.
func TestUndeliveredHandles(t *testing.T) {
	noLeaks(t)
	c, p := pair(t, Config{})
	results := flying(t, c, 1, "keeps the channel reading")
	p.line()
	_, fd := connection(t)
	for i := range maxUndelivered + 10 {
		p.pass(aHandle, fd)
		if i < maxUndelivered {
			require.Equal(t, lineACK, p.line())
		} else {
			require.Equal(t, lineNACK, p.line())
		}
	}
	p.write("%s\n", lineACK)
	require.Equal(t, []error{nil}, results())
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

// While an acknowledgement is awaited the channel must read on; a peer that
// floods it instead of answering is disconnected, at a bound that counts what a
// message takes in memory.
func TestFloodInsteadOfAnAnswer(t *testing.T) {
	noLeaks(t)
	c, p := pair(t, Config{MaxInbox: 1 << 20})
	results := flying(t, c, 1, 1)
	var written int
	for {
		n, err := p.Write([]byte(strings.Repeat("1\n", 1<<10)))
		written += n
		if err != nil {
			break
		}
	}
	require.ErrorIs(t, results()[0], ErrClosed)
	require.Less(t, written, 2<<20)
	data, errs := everything(t, c)
	require.NotEmpty(t, data)
	require.Len(t, errs, 1)
	require.ErrorIs(t, errs[0], ErrInboxFull)
}

// A peer that asks and never reads the answers is disconnected.
func TestQuestionsWithoutEnd(t *testing.T) {
	noLeaks(t)
	c, p := pair(t, Config{})
	go func() {
		for {
			if _, err := p.Write([]byte(strings.Repeat(`{"cmd":"NODE_SOCKET_GET_COUNT","key":"k"}`+"\n", 100))); err != nil {
				return
			}
		}
	}()
	_, errs := everything(t, c)
	require.Len(t, errs, 1)
	require.ErrorIs(t, errs[0], ErrPeerNotReading)
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
	ours, theirs := connection(t)
	var old unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &old))
	taken, err := unix.Dup(theirs) // all numbers below this one are in use, or will be
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
		fd, err := unix.Dup(theirs)
		if err != nil {
			break
		}
		fill = append(fill, fd)
	}
	p.pass(aHandle, theirs)
	_, err = receiveAny(t, c)
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &old))
	require.ErrorIs(t, err, ErrHandleLost)
	require.Equal(t, lineNACK, p.line())
	p.pass(aHandle, theirs)
	requireConnected(t, receive(t, c), ours)
}
