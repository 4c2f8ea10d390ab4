package ipc

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"playing-with-processes/internal/clitest"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func init() {
	roles["last-words"] = func() { // says much, and is gone
		parent, err := Parent()
		if err != nil {
			panic(err)
		}
		for i := range 3 {
			if err := parent.Send(context.Background(), strings.Repeat(fmt.Sprint(i), 1<<20)); err != nil {
				panic(err)
			}
		}
		os.Exit(7)
	}
	roles["few-words"] = func() { // what fits into the kernel, and is gone
		parent, err := Parent()
		if err != nil {
			panic(err)
		}
		parent.SendBatch(context.Background(), 1, 2, 3)
		os.Exit(7)
	}
	roles["silent"] = func() { // lives until the channel ends
		parent, err := Parent()
		if err != nil {
			panic(err)
		}
		parent.Send(context.Background(), "ready")
		for range parent.Messages() {
		}
	}
}

// everything is all that Messages yields until the channel ends.
func everything(t *testing.T, c *Channel) (data []string, errs []error) {
	t.Helper()
	for {
		msg, err := receiveAny(t, c)
		switch {
		case err == io.EOF:
			return data, errs
		case err != nil:
			errs = append(errs, err)
		default:
			data = append(data, string(msg.Data))
		}
	}
}

// A message is one line of JSON, however it was given.
func TestSendWritesOneLineEach(t *testing.T) {
	noLeaks(t)
	c, p := pair(t, Config{})
	require.NoError(t, c.SendBatch(testContext(t),
		nil, true, -0.5, "a\nb", "<&>\u2028", []int(nil), map[string]any{"cmd": "NODE_"},
		json.RawMessage(`"\ud800"`), json.RawMessage("{\n  \"a\": [1,\n 2] }"), json.RawMessage(` {"a": 1}`)))
	for _, want := range []string{
		`null`, `true`, `-0.5`, `"a\nb"`, "\"<&>\u2028\"", `[]`, `{"cmd":"NODE_"}`,
		`"\ud800"`, `{"a":[1,2]}`, ` {"a": 1}`,
	} {
		require.Equal(t, want, p.line())
	}
}

// What cannot be a message is an error, and nothing of it is sent, nor of the
// batch it was in.
func TestSendRefuses(t *testing.T) {
	noLeaks(t)
	c, p := pair(t, Config{MaxLine: 100})
	ctx := testContext(t)
	require.ErrorIs(t, c.Send(ctx, map[string]any{"cmd": "NODE_HELLO"}), ErrReserved)
	require.ErrorIs(t, c.Send(ctx, json.RawMessage(`{"a":1,"\u0063md":"NODE_HELLO"}`)), ErrReserved)
	require.ErrorIs(t, c.Send(ctx, strings.Repeat("x", 99)), ErrLineTooLong)
	require.ErrorIs(t, c.SendBatch(ctx, 1, 2, strings.Repeat("x", 99)), ErrLineTooLong)
	for _, bad := range []any{make(chan int), json.RawMessage("1 2"), json.RawMessage(""), json.RawMessage("{")} {
		require.Error(t, c.Send(ctx, bad))
	}
	require.NoError(t, c.Send(ctx, strings.Repeat("x", 98)))
	require.Equal(t, 100, len(p.line()))
}

// Nothing lost, in order: each of several senders finds its messages in its
// order, though they share the channel and some of its system calls.
func TestOrderOfConcurrentSenders(t *testing.T) {
	noLeaks(t)
	a, b := twoChannels(t)
	const senders, each = 8, 500
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for i := range each {
				message := map[string]any{"s": s, "i": i, "pad": strings.Repeat("x", i*20)}
				if a.Send(testContext(t), message) != nil {
					return
				}
			}
		})
	}
	var next, want [senders]int
	for range senders * each {
		var m struct {
			S int `json:"s"`
			I int `json:"i"`
		}
		require.NoError(t, receive(t, b).Decode(&m))
		require.Equal(t, next[m.S], m.I)
		next[m.S]++
	}
	for s := range want {
		want[s] = each
	}
	require.Equal(t, want, next)
	wg.Wait()
}

// Nothing lost: a process may exit right after Send, whatever the size.
func TestLastWordsArrive(t *testing.T) {
	noLeaks(t)
	child := fork(t, role(t, "last-words"))
	data, errs := everything(t, child.Channel)
	require.Empty(t, errs)
	require.Len(t, data, 3)
	for i, text := range data {
		require.Equal(t, `"`+strings.Repeat(fmt.Sprint(i), 1<<20)+`"`, text)
	}
	exit, err := child.Wait()
	require.NoError(t, err)
	require.Equal(t, Exit{Code: 7}, exit)
}

// Wait keeps what a child had still written, with nobody reading; exit and
// disconnect may come in either order.
func TestWaitBeforeReading(t *testing.T) {
	noLeaks(t)
	child := fork(t, role(t, "few-words"))
	for range 2 { // a second Wait tells the same
		exit, err := child.Wait()
		require.NoError(t, err)
		require.Equal(t, Exit{Code: 7}, exit)
	}
	data, errs := everything(t, child.Channel)
	require.Empty(t, errs)
	require.Equal(t, []string{"1", "2", "3"}, data)
	require.ErrorIs(t, child.Send(testContext(t), 1), ErrClosed)
	require.ErrorIs(t, child.Kill(unix.SIGTERM), os.ErrProcessDone)
}

// Peer death is noticed at once, by the end of the stream.
func TestKilledChildEndsMessages(t *testing.T) {
	noLeaks(t)
	child := fork(t, role(t, "silent"))
	receive(t, child.Channel)
	require.NoError(t, child.Kill(unix.SIGKILL))
	data, errs := everything(t, child.Channel)
	require.Empty(t, data)
	require.Empty(t, errs)
	exit, err := child.Wait()
	require.NoError(t, err)
	require.Equal(t, Exit{Code: -1, Signal: unix.SIGKILL}, exit)
	require.Equal(t, "signal killed", exit.String())
}

// Disconnect ends both sides; sending afterwards is a returned error.
func TestDisconnect(t *testing.T) {
	noLeaks(t)
	child := fork(t, role(t, "silent"))
	receive(t, child.Channel)
	require.NoError(t, child.Disconnect())
	require.ErrorIs(t, child.Disconnect(), ErrClosed)
	require.ErrorIs(t, child.Send(testContext(t), 1), ErrClosed)
	exit, err := child.Wait()
	require.NoError(t, err)
	require.Equal(t, Exit{}, exit)
}

// Disconnect wakes who reads and who writes, and drops undelivered handles.
func TestDisconnectWakesEverybody(t *testing.T) {
	noLeaks(t)
	c, p := pair(t, Config{})
	for range 2 {
		_, fd := connection(t)
		p.pass(`{"cmd":"NODE_HANDLE","msg":1}`+"\n", fd)
	}
	receive(t, c).Close()

	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for range c.Messages() {
			}
		})
		wg.Go(func() {
			for c.Send(context.Background(), strings.Repeat("x", 1<<20)) == nil {
			}
		})
	}
	p.line() // some line is written whole: a writer is at work
	c.Disconnect()
	wg.Wait()
}

// A context that ends leaves no half line behind: the message goes out whole as
// soon as the peer reads, and later ones after it.
func TestSendGivesUpWithoutBreakingTheStream(t *testing.T) {
	noLeaks(t)
	c, p := pair(t, Config{})
	big := strings.Repeat("x", 4<<20)
	ctx, cancel := context.WithCancel(t.Context())
	sent := make(chan error, 1)
	go func() { sent <- c.Send(ctx, big) }()
	first, err := p.in.Peek(1) // it is under way
	require.NoError(t, err)
	require.Equal(t, `"`, string(first))
	cancel()
	require.ErrorIs(t, <-sent, context.Canceled)
	require.ErrorIs(t, c.Send(ctx, 1), context.Canceled)

	go func() { sent <- c.Send(testContext(t), "next") }()
	require.Equal(t, `"`+big+`"`, p.line())
	require.Equal(t, `"next"`, p.line())
	require.NoError(t, <-sent)
}

// Linear work at any size: taking in a line of 16 MiB, read by read, copies
// a few times its length; doing it all again for each read would be 32 times.
func TestLongLinesTakeLinearWork(t *testing.T) {
	const size = 16 << 20
	l := lines{max: size}
	chunk := bytes.Repeat([]byte("x"), readSize)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range size / readSize {
		require.NoError(t, l.split(chunk, nil))
	}
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(5*size))
}

// flying sends n handles at once and returns how to wait for their results.
func flying(t *testing.T, c *Channel, n int, message any) (results func() []error) {
	t.Helper()
	ln := listener(t)
	var wg sync.WaitGroup
	all := make([]error, n)
	for i := range n {
		wg.Go(func() { all[i] = c.SendHandle(testContext(t), message, ln) })
	}
	return func() []error {
		wg.Wait()
		return all
	}
}

// unanswered reads the handles that come before the channel waits for an
// acknowledgement. A plain message sent behind them shows that there are no more.
func unanswered(t *testing.T, c *Channel, p *peer, n int) {
	t.Helper()
	for range n {
		require.Contains(t, p.line(), "NODE_HANDLE")
	}
	require.NoError(t, c.Send(testContext(t), "no more"))
	require.Equal(t, `"no more"`, p.line())
}

// Several handles may be in flight, but only while a Node receiver could not
// mix them up; and the sender keeps its copy of each until it is acknowledged.
func TestHandlesInFlight(t *testing.T) {
	t.Run("many while little is unread", func(t *testing.T) {
		noLeaks(t)
		c, p := pair(t, Config{})
		before := len(clitest.OpenDescriptors(t))
		results := flying(t, c, 100, "x")
		unanswered(t, c, p, 100)
		// Each is open here: the listener's, our copy, and the peer's.
		require.Equal(t, before+1+100+100, len(clitest.OpenDescriptors(t)))
		p.write("%s", strings.Repeat(lineACK+"\n", 100))
		require.Equal(t, make([]error, 100), results())
		require.Equal(t, before+1+100, len(clitest.OpenDescriptors(t)))
	})
	t.Run("one behind much that is unread", func(t *testing.T) {
		noLeaks(t)
		c, p := pair(t, Config{})
		require.NoError(t, c.Send(testContext(t), strings.Repeat("x", maxUnread)))
		p.line()
		results := flying(t, c, 3, "x")
		unanswered(t, c, p, 1)
		p.write("%s\n", lineACK) // and with it, all before it is read
		unanswered(t, c, p, 2)
		p.write("%s\n%s\n", lineACK, lineACK)
		require.Equal(t, make([]error, 3), results())
	})
	t.Run("one at a time while lines are long", func(t *testing.T) {
		noLeaks(t)
		c, p := pair(t, Config{})
		results := flying(t, c, 3, strings.Repeat("x", maxShortLine))
		for range 3 {
			unanswered(t, c, p, 1)
			p.write("%s\n", lineACK)
		}
		require.Equal(t, make([]error, 3), results())
	})
}

// Whoever ranges reads acknowledgements, too; a refusal is ErrHandleLost and
// reaches the right sender.
func TestRefusedHandle(t *testing.T) {
	noLeaks(t)
	c, p := pair(t, Config{})
	results := flying(t, c, 3, "x")
	unanswered(t, c, p, 3)
	p.write("%s\n%s\n%s\n\"go on\"\n", lineACK, lineNACK, lineACK)
	require.Equal(t, `"go on"`, string(receive(t, c).Data))
	lost := 0
	for _, err := range results() {
		if err != nil {
			require.ErrorIs(t, err, ErrHandleLost)
			lost++
		}
	}
	require.Equal(t, 1, lost)
}

// What cannot be passed is an error, before anything is sent.
func TestSendHandleRefuses(t *testing.T) {
	noLeaks(t)
	c, p := pair(t, Config{})
	ctx := testContext(t)
	file, err := os.Open("/dev/null")
	require.NoError(t, err)
	defer file.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed.Close()
	unixgram, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: t.TempDir() + "/s"})
	require.NoError(t, err)
	defer unixgram.Close()

	require.ErrorIs(t, c.SendHandle(ctx, 1, nil), ErrNotAHandle)
	require.ErrorIs(t, c.SendHandle(ctx, 1, file), ErrNotAHandle)
	require.ErrorIs(t, c.SendHandle(ctx, 1, unixgram), ErrNotAHandle)
	require.ErrorIs(t, c.SendHandle(ctx, 1, closed.(*net.TCPListener)), net.ErrClosed)
	require.ErrorIs(t, c.SendHandle(ctx, map[string]string{"cmd": "NODE_X"}, closed.(*net.TCPListener)), ErrReserved)
	require.NoError(t, c.Send(ctx, "only this"))
	require.Equal(t, `"only this"`, p.line())
}

// The limit holds for what is on the wire, which is longer than the message.
func TestSendHandleLineLimit(t *testing.T) {
	noLeaks(t)
	c, _ := pair(t, Config{MaxLine: 100})
	require.ErrorIs(t, c.SendHandle(testContext(t), strings.Repeat("x", 90), listener(t)), ErrLineTooLong)
}

// O_NONBLOCK belongs to the open file description, which sender and receiver
// share: it is set before the socket leaves, and never cleared.
func TestPassedSocketsAreNonBlocking(t *testing.T) {
	noLeaks(t)
	c, p := pair(t, Config{})
	file, err := listener(t).File()
	require.NoError(t, err)
	defer file.Close()
	file.Fd() // makes it blocking
	sent := make(chan error, 1)
	go func() { sent <- c.SendHandle(testContext(t), 1, file) }()
	p.line()
	p.write("%s\n", lineACK)
	require.NoError(t, <-sent)
	flags, err := unix.FcntlInt(uintptr(p.arrived[0]), unix.F_GETFL, 0)
	require.NoError(t, err)
	require.NotZero(t, flags&unix.O_NONBLOCK)
}

// A message's handle is taken once, and as what it is.
func TestTakeHandleOnce(t *testing.T) {
	noLeaks(t)
	c, p := pair(t, Config{})
	ln := listener(t)
	raw, err := ln.SyscallConn()
	require.NoError(t, err)
	raw.Control(func(fd uintptr) {
		p.pass(`{"cmd":"NODE_HANDLE","type":"net.Socket","msg":null}`+"\n", int(fd))
	})
	msg := receive(t, c)
	_, err = msg.Conn()
	require.ErrorIs(t, err, ErrNoHandle)
	_, err = msg.PacketConn()
	require.ErrorIs(t, err, ErrNoHandle)
	taken, err := msg.Listener()
	require.NoError(t, err)
	require.Equal(t, ln.Addr(), taken.Addr())
	_, err = msg.Listener()
	require.ErrorIs(t, err, ErrNoHandle)
	require.NoError(t, msg.Close())
	require.NoError(t, taken.Close())
	_, err = Message{}.Conn()
	require.ErrorIs(t, err, ErrNoHandle)
}

// A Node sender of connections learns how many are open, and when all are gone.
func TestSocketCounts(t *testing.T) {
	noLeaks(t)
	c, p := pair(t, Config{})
	key := `"4:127.0.0.1:0"`
	for range 2 {
		_, fd := connection(t)
		p.pass(`{"cmd":"NODE_HANDLE","type":"net.Socket","msg":1,"key":`+key+`}`+"\n", fd)
	}
	first, second := receive(t, c), receive(t, c)
	p.write("%s\n", `{"cmd":"NODE_SOCKET_GET_COUNT","key":`+key+`}`)
	p.write("%s\n", `{"cmd":"NODE_SOCKET_NOTIFY_CLOSE","key":`+key+`}`)
	p.write("%s\n", `{"cmd":"NODE_SOCKET_NOTIFY_CLOSE","key":"unknown"}`)
	p.write("0\n")
	receive(t, c)
	conn, err := first.Conn()
	require.NoError(t, err)
	require.IsType(t, &net.UnixConn{}, conn.(interface{ NetConn() net.Conn }).NetConn())
	conn.Close()
	conn.Close()
	second.Close()

	var got []string
	for range 5 {
		got = append(got, p.line())
	}
	want := []string{
		lineACK, lineACK,
		`{"cmd":"NODE_SOCKET_COUNT","key":` + key + `,"count":2}`,
		`{"cmd":"NODE_SOCKET_ALL_CLOSED","key":"unknown"}`,
		`{"cmd":"NODE_SOCKET_ALL_CLOSED","key":` + key + `}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
