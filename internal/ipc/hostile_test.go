package ipc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"playing-with-processes/internal/clitest"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// descriptor is a socket to send, without anything that Go puts around it.
type descriptor int

func (d descriptor) SyscallConn() (syscall.RawConn, error) { return d, nil }
func (d descriptor) Control(f func(fd uintptr)) error      { f(uintptr(d)); return nil }
func (d descriptor) Read(func(fd uintptr) bool) error      { return errors.ErrUnsupported }
func (d descriptor) Write(func(fd uintptr) bool) error     { return errors.ErrUnsupported }

// plug is a connection. Its far end is to be passed on; its near end tells
// where that got to, and whether anybody still has it.
type plug struct{ near, far int }

func newPlug(t *testing.T) *plug {
	t.Helper()
	near, far, err := socketpair()
	require.NoError(t, err)
	p := &plug{near, far}
	t.Cleanup(func() { unix.Close(near); p.closeFar() })
	limit := unix.NsecToTimeval(patience.Nanoseconds())
	require.NoError(t, unix.SetsockoptTimeval(near, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit))
	return p
}

func (p *plug) closeFar() {
	if p.far >= 0 {
		unix.Close(p.far)
		p.far = -1
	}
}

// read is the next that comes to the near end, "" if nobody has the far one.
func (p *plug) read(t *testing.T) string {
	t.Helper()
	got := make([]byte, 100)
	n, err := unix.Read(p.near, got)
	require.NoError(t, err)
	return string(got[:n])
}

// requireIn checks that msg brought the far end of this very connection.
func (p *plug) requireIn(t *testing.T, msg Message) {
	t.Helper()
	conn, err := msg.Conn()
	require.NoError(t, err)
	defer conn.Close()
	word := fmt.Sprintf("to descriptor %d", p.near)
	_, err = conn.Write([]byte(word))
	require.NoError(t, err)
	require.Equal(t, word, p.read(t))
}

// requireGone checks that no copy of the far end is open but for our own, which
// is closed now.
func (p *plug) requireGone(t *testing.T) {
	t.Helper()
	p.closeFar()
	require.Empty(t, p.read(t))
}

// handing sends a handle at once and returns where the result will be.
func handing(t *testing.T, c *Channel, message any, fd int) <-chan error {
	ctx, sent := testContext(t), make(chan error, 1)
	go func() { sent <- c.SendHandle(ctx, message, descriptor(fd)) }()
	return sent
}

// untilGoOn is what comes before a good message that the peer writes now, and
// which must arrive.
func untilGoOn(t *testing.T, c *Channel, p *peer) (data []string, errs []error) {
	t.Helper()
	p.write(goOn)
	for {
		msg, err := receiveAny(t, c)
		switch {
		case err == io.EOF:
			require.FailNow(t, "the channel has ended")
		case err != nil:
			errs = append(errs, err)
		case string(msg.Data)+"\n" == goOn:
			return data, errs
		default:
			data = append(data, string(msg.Data))
		}
	}
}

// requireHandles checks that a good handle still arrives, and is acknowledged.
func requireHandles(t *testing.T, c *Channel, p *peer) {
	t.Helper()
	good := newPlug(t)
	p.pass(aHandle, good.far)
	good.requireIn(t, receive(t, c))
	require.Equal(t, lineACK, p.line())
}

// allocated is all the memory this process ever asked for: who holds little
// asks for little, whenever the garbage is collected.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// waitUntilRead waits until the kernel holds nothing of what the peer wrote.
func waitUntilRead(t *testing.T, p *peer) {
	t.Helper()
	raw, err := p.SyscallConn()
	require.NoError(t, err)
	for unread := 1; unread > 0; runtime.Gosched() {
		raw.Control(func(fd uintptr) { unread, err = unix.IoctlGetInt(int(fd), unix.TIOCOUTQ) })
		require.NoError(t, err)
	}
}

// What a dying peer had begun would look like a message, or its loss like
// nothing, or the descriptor that came with it would stay open.
func TestHalfALineIsAnErrorAndThenTheEnd(t *testing.T) {
	leave := map[string]func(*peer){
		"close":    func(p *peer) { p.Close() },
		"shutdown": func(p *peer) { p.CloseWrite() },
	}
	for name, half := range map[string]string{
		"message":          `{"half":`,
		"all but newline":  `{"whole":1}`,
		"handle":           aHandle[:20],
		"one blank":        " ",
		"more than a read": `"` + strings.Repeat("x", 100<<10),
	} {
		for how := range leave {
			t.Run(name+" then "+how, func(t *testing.T) {
				noLeaks(t)
				c, p := pair(t, Config{})
				lost := newPlug(t)
				p.write("1\n")
				p.pass(half, lost.far)
				leave[how](p)
				data, errs := everything(t, c)
				require.Equal(t, []string{"1"}, data)
				require.Len(t, errs, 1)
				require.ErrorIs(t, errs[0], io.ErrUnexpectedEOF)
				lost.requireGone(t)
			})
		}
	}
}

// A descriptor that does not come with the first byte of its line would be lost,
// or be the next line's.
func TestDescriptorMayComeWithAnyByteOfItsLine(t *testing.T) {
	for _, at := range []int{0, 1, len(aHandle) / 2, len(aHandle) - 1} {
		t.Run(fmt.Sprint("byte ", at), func(t *testing.T) {
			noLeaks(t)
			c, p := pair(t, Config{})
			with := newPlug(t)
			go func() {
				p.Write([]byte("0\n"))
				for i, b := range []byte(aHandle) {
					if i == at {
						p.WriteMsgUnix([]byte{b}, unix.UnixRights(with.far), nil)
					} else {
						p.Write([]byte{b})
					}
				}
			}()
			require.Equal(t, "0", string(receive(t, c).Data))
			with.requireIn(t, receive(t, c))
			require.Equal(t, lineACK, p.line())
			requireHandles(t, c, p)
		})
	}
}

// The limit would be off by one, would wait for a newline that never comes, or
// would end the channel for a message that was only about to be sent.
func TestLineOverMaxLineEndsTheChannel(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		over       bool
	}{
		{"exactly", strings.Repeat("1", 100) + "\n", false},
		{"one more", strings.Repeat("1", 101) + "\n", true},
		{"no newline yet", strings.Repeat("1", 101), true},
		{"the second line", strings.Repeat("1", 99) + "\n" + strings.Repeat("2", 101), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			noLeaks(t)
			c, p := pair(t, Config{MaxLine: 100})
			require.ErrorIs(t, c.Send(testContext(t), strings.Repeat("x", 99)), ErrLineTooLong)
			long := c.SendHandle(testContext(t), strings.Repeat("x", 98), descriptor(newPlug(t).far))
			require.ErrorIs(t, long, ErrLineTooLong)
			require.NoError(t, c.Send(testContext(t), strings.Repeat("x", 98)))
			require.Len(t, p.line(), 100)
			p.write("%s", tc.text)
			if !tc.over {
				require.Len(t, receive(t, c).Data, 100)
				untilGoOn(t, c, p)
				return
			}
			_, errs := everything(t, c)
			require.Len(t, errs, 1)
			require.ErrorIs(t, errs[0], ErrLineTooLong)
			require.ErrorIs(t, c.Send(testContext(t), 1), ErrClosed)
			_, err := p.in.ReadByte() // the peer learns it, too
			require.ErrorIs(t, err, io.EOF)
		})
	}
}

// A question or a notice with a field of a wrong type would reach the user, or
// end the receiver.
func TestMalformedInternalLinesAreIgnored(t *testing.T) {
	for _, line := range []string{
		`{"\u0063md":"NODE\u005fX"}`, `{"cmd":"x","cmd":"NODE_X"}`, ` {"cmd" : "NODE_X" } `, "{\"cmd\":\"NODE_\xff\"}",
		`{"cmd":"NODE_SOCKET_GET_COUNT"}`, `{"cmd":"NODE_SOCKET_GET_COUNT","key":{"a":1}}`,
		`{"cmd":"NODE_SOCKET_NOTIFY_CLOSE","key":4}`, `{"cmd":"NODE_SOCKET_NOTIFY_CLOSE","key":null}`,
		`{"cmd":"NODE_SOCKET_ALL_CLOSED","key":1e400}`, `{"cmd":"NODE_HANDLE_NACK","msg":[],"key":[1]}`,
	} {
		t.Run(line, func(t *testing.T) {
			noLeaks(t)
			c, p := pair(t, Config{})
			p.write("%s\n", line)
			data, errs := untilGoOn(t, c, p)
			require.Empty(t, data)
			require.Empty(t, errs)
			require.NoError(t, c.Send(testContext(t), "after it"))
			for line := p.line(); line != `"after it"`; line = p.line() {
				require.Contains(t, line, "NODE_SOCKET_") // an answer, at the most
			}
		})
	}
}

// A handle is what its descriptor is: a field of a wrong type would lose it, or
// be answered twice, or leave a copy open.
func TestFieldsOfAHandleAreNotTrusted(t *testing.T) {
	wrapped := func(n int) string {
		return strings.Repeat(`{"cmd":"NODE_HANDLE","msg":`, n) + "1" + strings.Repeat("}", n)
	}
	for _, tc := range []struct {
		name, line, want string // want: "" if nothing is delivered
	}{
		{"no msg", `{"cmd":"NODE_HANDLE"}`, `null`},
		{"type is a number", `{"cmd":"NODE_HANDLE","type":5,"msg":[1]}`, `[1]`},
		{"type is unknown", `{"cmd":"NODE_HANDLE","type":"fs.File","msg":1}`, `1`},
		{"type is wrong", `{"cmd":"NODE_HANDLE","type":"dgram.Socket","dgramType":4,"msg":1}`, `1`},
		{"key is an object", `{"cmd":"NODE_HANDLE","key":{"a":"b"},"msg":1}`, `1`},
		{"key is empty", `{"cmd":"NODE_HANDLE","key":"","msg":1}`, `1`},
		{"msg is an acknowledgement", `{"cmd":"NODE_HANDLE","msg":` + lineACK + `}`, ``},
		{"wrapped as often as Node does", wrapped(4), `1`},
		{"wrapped more often", wrapped(1000), ``},
	} {
		t.Run(tc.name, func(t *testing.T) {
			noLeaks(t)
			c, p := pair(t, Config{})
			with := newPlug(t)
			p.pass(tc.line+"\n", with.far)
			if tc.want != "" {
				msg := receive(t, c)
				require.Equal(t, tc.want, string(msg.Data))
				with.requireIn(t, msg)
			}
			data, errs := untilGoOn(t, c, p)
			require.Empty(t, data)
			require.Empty(t, errs)
			require.Equal(t, lineACK, p.line())
			with.requireGone(t)
			requireHandles(t, c, p) // and its answer is the next
		})
	}
}

// A descriptor that belongs to no handle would stay open, or go to the next
// handle in the place of its own: somebody else's connection.
func TestDescriptorWithoutHandleIsClosed(t *testing.T) {
	for _, tc := range []struct {
		name, line string
		delivers   int
	}{
		{"message", "1\n", 1},
		{"blank line", "\n", 1},
		{"not quite NODE_HANDLE", `{"cmd":"NODE_HANDLE","msg":}` + "\n", 1},
		{"unknown command", `{"cmd":"NODE_X"}` + "\n", 0},
		{"acknowledgement", lineACK + "\n", 0},
		{"several lines", "1\n2\n3\n", 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			noLeaks(t)
			c, p := pair(t, Config{})
			stray, good := newPlug(t), newPlug(t)
			p.pass(tc.line, stray.far)
			p.pass(aHandle, good.far)
			for range tc.delivers {
				receive(t, c)
			}
			good.requireIn(t, receive(t, c))
			require.Equal(t, lineACK, p.line())
			stray.requireGone(t)
			requireNotPending(t, c, p, tc.line)
		})
	}
}

// requireNotPending checks that a descriptor without a handle is not kept for a
// handle without a descriptor.
func requireNotPending(t *testing.T, c *Channel, p *peer, line string) {
	t.Helper()
	p.pass(line, newPlug(t).far)
	p.write(aHandle)
	_, errs := untilGoOn(t, c, p)
	require.Len(t, errs, 1)
	require.ErrorIs(t, errs[0], ErrHandleLost)
	require.Equal(t, lineNACK, p.line())
}

// Of many descriptors in one message more than the first would stay open, or
// another than the first would be the handle.
func TestManyDescriptorsInOneMessage(t *testing.T) {
	for _, n := range []int{2, 200, 253} { // 253 is the kernel's limit
		for _, line := range []string{aHandle, "1\n"} {
			t.Run(fmt.Sprintf("%d with %.7q", n, line), func(t *testing.T) {
				noLeaks(t)
				c, p := pair(t, Config{})
				first, others := newPlug(t), newPlug(t)
				fds := []int{first.far}
				for len(fds) < n {
					fds = append(fds, others.far)
				}
				p.pass(line, fds...)
				msg := receive(t, c)
				if line == aHandle {
					first.requireIn(t, msg)
					require.Equal(t, lineACK, p.line())
				}
				requireHandles(t, c, p)
				first.requireGone(t)
				others.requireGone(t)
			})
		}
	}
}

// While a line does not end, the descriptors that come with its bytes would add
// up until none are left.
func TestDescriptorsOfALineThatDoesNotEnd(t *testing.T) {
	noLeaks(t)
	defer bounded(t.Name()).Stop()
	c, p := pair(t, Config{})
	with := newPlug(t)
	awaiting := handing(t, c, 1, with.far) // so that the channel reads
	p.line()
	before := len(clitest.OpenDescriptors(t))
	for range 500 {
		p.pass("x", with.far, with.far)
	}
	waitUntilRead(t, p)
	require.Less(t, len(clitest.OpenDescriptors(t)), before+10)
	p.write("\n%s\n", lineACK)
	require.NoError(t, <-awaiting)
	require.Len(t, receive(t, c).Data, 500)
	requireHandles(t, c, p)
}

// What Node dies of, and what is no connection, listener or UDP socket, would be
// taken for one, or stay open.
func TestHandleThatIsNoSocketIsRefused(t *testing.T) {
	open := func(path string, mode int) func() (int, error) {
		return func() (int, error) { return unix.Open(path, mode|unix.O_CLOEXEC, 0o600) }
	}
	for name, open := range map[string]func() (int, error){
		"regular file": open(t.TempDir()+"/file", unix.O_CREAT|unix.O_RDWR),
		"directory":    open(t.TempDir(), unix.O_RDONLY),
		"device":       open("/dev/null", unix.O_RDWR),
		"datagrams":    func() (int, error) { return unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0) },
		"pipe": func() (int, error) {
			var fds [2]int
			err := unix.Pipe(fds[:])
			unix.Close(fds[1])
			return fds[0], err
		},
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			c, p := pair(t, Config{})
			fd, err := open()
			require.NoError(t, err)
			before := clitest.OpenDescriptors(t)
			require.ErrorIs(t, c.SendHandle(testContext(t), 1, descriptor(fd)), ErrNotAHandle)
			p.pass(aHandle, fd)
			data, errs := untilGoOn(t, c, p)
			require.Empty(t, data)
			require.Len(t, errs, 1)
			require.ErrorIs(t, errs[0], ErrHandleLost)
			require.Equal(t, lineNACK, p.line())
			require.Equal(t, before, clitest.OpenDescriptors(t))
			unix.Close(fd)
			requireHandles(t, c, p)
		})
	}
}

// The peer's end of the channel is a socket like any other: a handle of it would
// hold the channel open for good, after the peer is gone.
func TestHandleThatIsTheChannelItself(t *testing.T) {
	noLeaks(t)
	c, p := pair(t, Config{})
	raw, err := p.SyscallConn()
	require.NoError(t, err)
	raw.Control(func(fd uintptr) { p.pass(aHandle, int(fd)) })
	p.Close()
	require.NoError(t, receive(t, c).Close())
	_, err = receiveAny(t, c)
	require.Equal(t, io.EOF, err)
}

// An acknowledgement that comes before the line has left would close what is still
// to travel, or cut the line short, or leave the senders after it waiting.
func TestAcknowledgedWhileItIsBeingSent(t *testing.T) {
	t.Run("in the middle of its line", func(t *testing.T) {
		noLeaks(t)
		defer bounded(t.Name()).Stop()
		c, p := pair(t, Config{})
		with := newPlug(t)
		sent := handing(t, c, strings.Repeat("x", 1<<20), with.far)
		_, err := p.in.Peek(1)
		require.NoError(t, err)
		p.write("%s\n", lineACK)
		untilGoOn(t, c, p)
		require.Contains(t, p.line(), "NODE_HANDLE")
		require.NoError(t, <-sent)
		requireArrived(t, p, with, 1)
	})
	t.Run("before its descriptor has left", func(t *testing.T) {
		noLeaks(t)
		defer bounded(t.Name()).Stop()
		const all = 400 // more than the kernel takes unread
		c, p := pair(t, Config{})
		with := newPlug(t)
		var results []<-chan error
		for range all {
			results = append(results, handing(t, c, "x", with.far))
		}
		_, err := p.in.Peek(1)
		require.NoError(t, err)
		p.write("%s", strings.Repeat(lineACK+"\n", all))
		untilGoOn(t, c, p)
		for range all {
			require.Contains(t, p.line(), "NODE_HANDLE")
			p.write("%s\n", lineACK)
		}
		for _, result := range results {
			require.NoError(t, <-result)
		}
		requireArrived(t, p, with, all)
	})
}

// requireArrived checks that the peer has got the far end of the plug, n times.
func requireArrived(t *testing.T, p *peer, with *plug, n int) {
	t.Helper()
	require.Len(t, p.arrived, n)
	for i, fd := range p.arrived {
		word := fmt.Sprint("number ", i)
		_, err := unix.Write(fd, []byte(word))
		require.NoError(t, err)
		require.Equal(t, word, with.read(t))
	}
}

// A peer that never reads would hold Disconnect for ever, and with it everybody
// who sends, and our copies of the handles.
func TestDisconnectFromAPeerThatNeverReads(t *testing.T) {
	noLeaks(t)
	defer bounded(t.Name()).Stop()
	c, p := pair(t, Config{})
	with := newPlug(t)
	var wg sync.WaitGroup
	errs := make([]error, 5)
	for i := range errs {
		wg.Go(func() {
			for errs[i] == nil {
				errs[i] = c.Send(context.Background(), strings.Repeat("x", 1<<20))
			}
		})
	}
	_, err := p.in.Peek(1)
	require.NoError(t, err)
	handle := handing(t, c, 1, with.far)
	start := time.Now()
	require.NoError(t, c.Disconnect())
	require.Less(t, time.Since(start), patience/2)
	wg.Wait()
	for _, err := range append(errs, <-handle) {
		require.ErrorIs(t, err, ErrClosed)
	}
	with.requireGone(t)
}

// A peer that never acknowledges would make us keep the handles that were given
// up, even when the channel is closed.
func TestHandlesNeverAcknowledgedAreGivenUp(t *testing.T) {
	noLeaks(t)
	defer bounded(t.Name()).Stop()
	c, p := pair(t, Config{})
	with := newPlug(t)
	for range 5 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		require.ErrorIs(t, c.SendHandle(ctx, 1, descriptor(with.far)), context.DeadlineExceeded)
		cancel()
	}
	untilGoOn(t, c, p) // messages go on
	require.NoError(t, c.Disconnect())
	p.Close() // what it never read is gone, too
	with.requireGone(t)
}

// Handles that nobody takes would use up our descriptors, or, once refused,
// would be refused for ever.
func TestHandlesAreTakenAgainAfterAFlood(t *testing.T) {
	const more = 50
	noLeaks(t)
	defer bounded(t.Name()).Stop()
	c, p := pair(t, Config{})
	with, stays := newPlug(t), newPlug(t)
	before := len(clitest.OpenDescriptors(t))
	awaiting := handing(t, c, 1, stays.far) // so that the channel reads
	p.line()
	for range maxUndelivered + more {
		p.pass(aHandle, with.far)
		p.line()
	}
	require.Less(t, len(clitest.OpenDescriptors(t)), before+maxUndelivered+10)
	p.write("%s\n", lineACK)
	require.NoError(t, <-awaiting)
	for range maxUndelivered {
		require.NoError(t, receive(t, c).Close())
	}
	_, errs := untilGoOn(t, c, p)
	require.Len(t, errs, more)
	require.ErrorIs(t, errs[0], ErrHandleLost)
	requireHandles(t, c, p)
	with.requireGone(t)
}

// A peer that floods us while we must read for its acknowledgement would use up
// our memory: with the tiniest of messages much more than their bytes.
func TestFloodOfAnySortIsBounded(t *testing.T) {
	for name, line := range map[string]string{
		"blank":     "\n",
		"lengthy":   `"` + strings.Repeat("x", 10<<10) + "\"\n",
		"no handle": aHandle,
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			defer bounded(t.Name()).Stop()
			c, p := pair(t, Config{MaxInbox: 128 << 10})
			sent := handing(t, c, 1, newPlug(t).far)
			p.line()
			before, written := allocated(), 0
			for burst := []byte(strings.Repeat(line, 1+1000/len(line))); ; {
				n, err := p.Write(burst)
				if written += n; err != nil {
					require.ErrorIs(t, err, unix.EPIPE)
					break
				}
				require.Less(t, written, 8<<20)
			}
			require.ErrorIs(t, <-sent, ErrClosed)
			require.Less(t, allocated()-before, uint64(64<<20))
			_, errs := everything(t, c)
			require.ErrorIs(t, errs[len(errs)-1], ErrInboxFull)
		})
	}
}

// A peer that never reads would make us keep the answers to what it writes.
func TestOwedAnswersAreBounded(t *testing.T) {
	for name, line := range map[string]string{
		"counts":  `{"cmd":"NODE_SOCKET_GET_COUNT","key":"k"}` + "\n",
		"closes":  `{"cmd":"NODE_SOCKET_NOTIFY_CLOSE","key":"k"}` + "\n",
		"handles": aHandle, // refused, since nothing comes with them
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			c, p := pair(t, Config{})
			before := allocated()
			go p.Write([]byte(strings.Repeat(line, 100_000)))
			_, errs := everything(t, c)
			require.ErrorIs(t, errs[len(errs)-1], ErrPeerNotReading)
			require.Less(t, allocated()-before, uint64(128<<20))
		})
	}
}

// A peer that does read would be ended by that bound, for asking much.
func TestAnswersThatAreReadAreNotBounded(t *testing.T) {
	const questions = 20_000
	noLeaks(t)
	c, p := pair(t, Config{})
	go p.Write([]byte(strings.Repeat(`{"cmd":"NODE_SOCKET_GET_COUNT","key":"k"}`+"\n", questions) + goOn))
	read := make(chan int, 1)
	go func() {
		n := 0
		for ; n < questions; n++ {
			if _, err := p.in.ReadString('\n'); err != nil {
				break
			}
		}
		read <- n
	}()
	require.Equal(t, goOn, string(receive(t, c).Data)+"\n")
	require.Equal(t, questions, <-read)
}

// Any mixture of all this, cut anywhere, would find what the tables above miss.
func TestStorm(t *testing.T) {
	noLeaks(t)
	defer bounded(t.Name()).Stop()
	c, p := pair(t, Config{})
	with := newPlug(t)
	go io.Copy(io.Discard, p.UnixConn) // the peer reads, and drops descriptors
	go storm(p, with.far)
	messages := 0
	for msg, err := range c.Messages() {
		messages++
		msg.Close()
		if string(msg.Data)+"\n" == goOn {
			break
		}
		if err != nil {
			require.ErrorIs(t, err, ErrHandleLost)
		}
	}
	require.Greater(t, messages, 100)
	require.NoError(t, c.Disconnect())
	with.requireGone(t)
}

func storm(p *peer, fd int) {
	random := rand.New(rand.NewPCG(1, 2))
	lines := []string{
		"", "1", "{", "\x00", lineACK, lineNACK, `{"cmd":"NODE_X"}`, strings.TrimSpace(aHandle), aHandle[:9],
		`{"cmd":"NODE_HANDLE","key":"k"}`, `{"cmd":"NODE_SOCKET_GET_COUNT","key":"k"}`,
		`{"cmd":"NODE_SOCKET_NOTIFY_CLOSE","key":"k"}`, strings.Repeat("x", 3000),
	}
	for range 300 {
		var burst bytes.Buffer
		for range random.IntN(10) {
			burst.WriteString(lines[random.IntN(len(lines))] + "\n")
		}
		for text := burst.Bytes(); len(text) > 0; {
			n := 1 + random.IntN(len(text))
			fds := make([]int, random.IntN(3)*random.IntN(3))
			for i := range fds {
				fds[i] = fd
			}
			p.WriteMsgUnix(text[:n], unix.UnixRights(fds...), nil)
			text = text[n:]
		}
	}
	p.Write([]byte("\n" + goOn))
}

// Whatever both sides are doing when one of them disconnects, somebody would
// wait for ever, or a descriptor would stay open, or what Send has returned for
// would be lost.
func TestDisconnectAtAnyMoment(t *testing.T) {
	for moment := 1; moment <= 200; moment *= 2 {
		t.Run(fmt.Sprintf("after %d messages", moment), func(t *testing.T) {
			noLeaks(t)
			defer bounded(t.Name()).Stop()
			a, b := twoChannels(t)
			with := newPlug(t)
			var sent, got int // messages from a to b
			var wg sync.WaitGroup
			for _, c := range []*Channel{a, b} {
				for _, size := range []int{1, 20_000} { // within maxUnread, and beyond
					wg.Go(func() { handUntilClosed(c, strings.Repeat("x", size), with.far) })
				}
			}
			wg.Go(func() {
				for a.Send(context.Background(), strings.Repeat("x", 3000)) == nil {
					sent++
				}
			})
			enough := make(chan struct{})
			wg.Go(func() {
				for msg, err := range b.Messages() {
					msg.Close()
					if err == nil && len(msg.Data) == 3002 {
						if got++; got == moment {
							close(enough)
						}
					}
				}
			})
			<-enough
			require.NoError(t, a.Disconnect())
			wg.Wait()
			require.GreaterOrEqual(t, got, sent)
			b.Disconnect()
			with.requireGone(t)
		})
	}
}

func handUntilClosed(c *Channel, message string, fd int) {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Millisecond)
		err := c.SendHandle(ctx, message, descriptor(fd))
		cancel()
		if errors.Is(err, ErrClosed) {
			return
		}
	}
}

// A peer that reads its answers would be ended for one long question.
func TestLongKeyIsAnswered(t *testing.T) {
	noLeaks(t)
	c, p := pair(t, Config{})
	go io.Copy(io.Discard, p.UnixConn)
	question := fmt.Sprintf(`{"cmd":"NODE_SOCKET_GET_COUNT","key":"%s"}`, strings.Repeat("k", 300<<10))
	go p.Write([]byte(question + "\n" + goOn))
	require.Equal(t, goOn, string(receive(t, c).Data)+"\n")
}

// The channel would keep the last message, of up to 64 MiB, until the next comes.
func TestTakenMessageIsNotKept(t *testing.T) {
	noLeaks(t)
	c, p := pair(t, Config{})
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	go p.Write([]byte(strings.Repeat("1", 20<<20) + "\n"))
	require.Len(t, receive(t, c).Data, 20<<20)
	require.Less(t, heap()-before, int64(5<<20))
	runtime.KeepAlive(c)
}
