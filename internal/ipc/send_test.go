package ipc

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"playing-with-processes/internal/clitest"

	"github.com/stretchr/testify/require"
)

// Each message is one line of JSON, whatever Go value it comes from.
func TestSendWritesOneLinePerMessage(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{})
	require.NoError(t, c.SendBatch(clitest.Context(t),
		nil, true, -0.5, "a\nb", "<&>\u2028", []int(nil), map[string]any{"cmd": "NODE_"},
		json.RawMessage(`"\ud800"`), json.RawMessage("{\n  \"a\": [1,\n 2] }"), json.RawMessage(` {"a": 1}`)))
	for _, want := range []string{
		`null`, `true`, `-0.5`, `"a\nb"`, "\"<&>\u2028\"", `[]`, `{"cmd":"NODE_"}`,
		`"\ud800"`, `{"a":[1,2]}`, ` {"a": 1}`,
	} {
		require.Equal(t, want, p.line())
	}
}

// An invalid message is an error. Neither it nor the rest of its batch is sent.
func TestSendRejectsInvalidMessages(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{MaxLine: 100})
	ctx := clitest.Context(t)
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

// Concurrent senders share the channel: no message is lost, and the messages of each
// sender arrive in order.
func TestConcurrentSendersKeepOrder(t *testing.T) {
	noLeaks(t)
	a, b := connectedChannels(t)
	const senders, each = 8, 500
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for i := range each {
				message := map[string]any{"s": s, "i": i, "pad": strings.Repeat("x", i*20)}
				if a.Send(clitest.Context(t), message) != nil {
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

// If the context ends during Send, the line still goes out complete once the peer reads,
// and later messages follow it.
func TestCanceledSendCompletesItsLine(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{})
	big := strings.Repeat("x", 4<<20)
	ctx, cancel := context.WithCancel(t.Context())
	sent := make(chan error, 1)
	go func() { sent <- c.Send(ctx, big) }()
	first, err := p.in.Peek(1) // part of the line has left
	require.NoError(t, err)
	require.Equal(t, `"`, string(first))
	cancel()
	require.ErrorIs(t, <-sent, context.Canceled)
	require.ErrorIs(t, c.Send(ctx, 1), context.Canceled)

	go func() { sent <- c.Send(clitest.Context(t), "next") }()
	require.Equal(t, `"`+big+`"`, p.line())
	require.Equal(t, `"next"`, p.line())
	require.NoError(t, <-sent)
}

// If the peer does not read, Send ends with its context, Disconnect returns, and no
// goroutine is left.
func TestSendToPeerThatDoesNotRead(t *testing.T) {
	noLeaks(t)
	c, _ := newPeer(t, Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	var err error
	for err == nil {
		err = c.Send(ctx, strings.Repeat("x", 1<<20))
	}
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, c.Disconnect())
}
