package ipc

import (
	"io"
	"runtime"
	"strings"
	"testing"

	"playing-with-processes/internal/clitest"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// Receive returns the messages in order. After a plain disconnect, each call returns
// io.EOF.
func TestReceive(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{})
	p.write("1\n2\n3\n")
	p.Close()
	for _, want := range []string{"1", "2", "3"} {
		msg, err := c.Receive()
		require.NoError(t, err)
		require.Equal(t, want, string(msg.Data))
	}
	for range 2 {
		msg, err := c.Receive()
		require.Equal(t, io.EOF, err)
		require.Empty(t, msg)
	}
}

// Receive returns an error in the place of a lost message, and then the next message.
func TestReceiveLostMessage(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{})
	p.write("1\n%s2\n", handleMessage) // a handle without a descriptor
	require.Equal(t, "1", string(receive(t, c).Data))
	msg, err := c.Receive()
	require.ErrorIs(t, err, ErrHandleLost)
	require.Empty(t, msg)
	require.Equal(t, "2", string(receive(t, c).Data))
}

// If an error closes the channel, Receive returns the messages before it, the error, and
// then io.EOF.
func TestReceiveClosingError(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{MaxLine: 10})
	p.write("1\n%s\n2\n", strings.Repeat("x", 11))
	require.Equal(t, "1", string(receive(t, c).Data))
	_, err := c.Receive()
	require.ErrorIs(t, err, ErrLineTooLong)
	for range 2 {
		_, err = c.Receive()
		require.Equal(t, io.EOF, err)
	}
	require.ErrorIs(t, c.Disconnect(), ErrClosed)
}

// A loop over Messages may be left and entered again without losing a message.
func TestMessagesAfterBreak(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{})
	p.write("1\n2\n3\n")
	p.Close()
	var got []string
	for msg, err := range c.Messages() {
		require.NoError(t, err)
		got = append(got, string(msg.Data))
		break
	}
	for msg, err := range c.Messages() {
		require.NoError(t, err)
		got = append(got, string(msg.Data))
	}
	require.Equal(t, []string{"1", "2", "3"}, got)
}

// A line that is not one JSON value is a message that Decode rejects. The channel stays
// open.
func TestInvalidLines(t *testing.T) {
	for _, test := range []struct{ name, line, want string }{
		{"blank line", "", "EOF"},
		{"blanks", " \t\r", "EOF"},
		{"invalid JSON", "{nonsense}", "invalid character"},
		{"half a value", `{"a":`, "unexpected EOF"},
		{"BOM", "\ufeff1", "invalid character"},
		{"raw NUL", "\x00", "invalid character"},
		{"NUL in a string", "\"\x00\"", "invalid character"},
		{"two values", "1 2", "invalid character"},
		{"incomplete internal message", `{"cmd":"NODE_HANDLE"`, "unexpected EOF"},
		{"nested too deeply", strings.Repeat("[", 1<<20), "depth"},
	} {
		t.Run(test.name, func(t *testing.T) {
			noLeaks(t)
			c, p := newPeer(t, Config{})
			go p.Write([]byte(test.line + "\n" + marker))
			var v any
			require.ErrorContains(t, receive(t, c).Decode(&v), test.want)
			require.NoError(t, receive(t, c).Decode(&v))
			require.Equal(t, "marker", v)
		})
	}
}

// Decode must fill a struct without tags, as encoding/json does. Node's own messages are known by
// the exact name of their cmd.
func TestDecodeNames(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{})
	p.write(`{"CMD":"NODE_HANDLE","act":"ready","every":3}` + "\n")
	var got struct {
		Cmd, Act string
		Every    int `json:"every"`
	}
	require.NoError(t, receive(t, c).Decode(&got))
	require.Equal(t, []any{"NODE_HANDLE", "ready", 3}, []any{got.Cmd, got.Act, got.Every})
}

// Decode accepts what Node's JSON.parse accepts.
func TestDecodeAcceptsWhatNodeAccepts(t *testing.T) {
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
			c, p := newPeer(t, Config{})
			p.write("%s\n", test.line)
			var got any
			require.NoError(t, receive(t, c).Decode(&got))
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// An incomplete last line is an error, and then the channel ends. A descriptor that came
// with it is closed.
func TestIncompleteLastLine(t *testing.T) {
	end := map[string]func(*peer){
		"close":    func(p *peer) { p.Close() },
		"shutdown": func(p *peer) { p.CloseWrite() },
	}
	for name, half := range map[string]string{
		"message":          `{"half":`,
		"all but newline":  `{"whole":1}`,
		"handle":           handleMessage[:20],
		"one blank":        " ",
		"more than a read": `"` + strings.Repeat("x", 100<<10),
	} {
		for how := range end {
			t.Run(name+" then "+how, func(t *testing.T) {
				noLeaks(t)
				c, p := newPeer(t, Config{})
				lost := newSocketPair(t)
				p.write("1\n")
				p.pass(half, lost.far)
				end[how](p)
				data, errs := receiveAll(t, c)
				require.Equal(t, []string{"1"}, data)
				require.Len(t, errs, 1)
				require.ErrorIs(t, errs[0], io.ErrUnexpectedEOF)
				lost.requireFarClosed(t)
			})
		}
	}
}

// MaxLine bytes are accepted. A longer line ends the channel when it is received, even
// before its newline. When it is sent, it is only an error.
func TestMaxLine(t *testing.T) {
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
			c, p := newPeer(t, Config{MaxLine: 100})
			require.ErrorIs(t, c.Send(clitest.Context(t), strings.Repeat("x", 99)), ErrLineTooLong)
			long := c.SendHandle(clitest.Context(t), strings.Repeat("x", 98), descriptor(newSocketPair(t).far))
			require.ErrorIs(t, long, ErrLineTooLong)
			require.NoError(t, c.Send(clitest.Context(t), strings.Repeat("x", 98)))
			require.Len(t, p.line(), 100)
			p.write("%s", tc.text)
			if !tc.over {
				require.Len(t, receive(t, c).Data, 100)
				receiveUntilMarker(t, c, p)
				return
			}
			_, errs := receiveAll(t, c)
			require.Len(t, errs, 1)
			require.ErrorIs(t, errs[0], ErrLineTooLong)
			require.ErrorIs(t, c.Send(clitest.Context(t), 1), ErrClosed)
			_, err := p.in.ReadByte() // the peer's end, too
			require.ErrorIs(t, err, io.EOF)
		})
	}
}

func init() { roles["endless-line"] = writeEndlessLine }

func writeEndlessLine() {
	parent := mustParent()
	chunk := []byte(strings.Repeat("x", 1<<20))
	for range 1 << 10 {
		if _, err := parent.socket.send(chunk, nil, 0); err != nil {
			return
		}
	}
}

// A line of 1 GiB without a newline ends the channel at the limit, in bounded memory.
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

// The channel must not keep a message that it has delivered.
func TestReceivedMessageIsFreed(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{})
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	go p.Write([]byte(strings.Repeat("1", 20<<20) + "\n"))
	require.Len(t, receive(t, c).Data, 20<<20)
	clitest.Eventually(t, func() bool { return heap()-before < 5<<20 }) // when the writer, too, has let go of it
	runtime.KeepAlive(c)
}
