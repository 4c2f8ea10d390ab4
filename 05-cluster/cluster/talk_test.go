package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
)

// talk is what the primary of testdata/talk.js prints.
var talk = []string{
	`[{"id":1,"name":"the first"}]`,
	`[1,{"back":null},""]`,
	`[1,{"back":true},""]`,
	`[1,{"back":1.5},""]`,
	`[1,{"back":"中文 \u2028 \"\\\n"},""]`,
	`[1,{"back":[1,[2]]},""]`,
	`[1,{"back":{"a":{"b":null}}},""]`,
	`[1,{"back":{"cmd":"hello"}},""]`,
	`[1,{"back":{"act":"newconn"}},""]`,
	`[1,{"back":{"use":"net.Server"}},"net.Server",true]`,
	`[1,{"back":{"use":"net.Socket"}},"net.Socket",true]`,
	`[1,{"back":{"use":"dgram.Socket"}},"dgram.Socket",true]`,
	`["exit",0,true]`,
}

// The dialogue of testdata/talk.js must be the same in all four seatings: messages of any value,
// in order, with handles, both ways; an environment for each worker; and a worker that leaves when
// it is told to, however long that takes.
func TestTalk(t *testing.T) {
	clitest.NeedNode(t)
	own := []string{clitest.Self(t), "talk"}
	for name, primary := range map[string]func(t *testing.T) []string{
		"Go and Go":     func(t *testing.T) []string { return talkAsPrimary(t, "go", "talk") },
		"Go and Node":   func(t *testing.T) []string { return talkAsPrimary(t, "node", "testdata/talk.js") },
		"Node and Go":   func(t *testing.T) []string { return talkOfNode(t, own...) },
		"Node and Node": func(t *testing.T) []string { return talkOfNode(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Empty(t, cmp.Diff(decoded(t, talk), decoded(t, primary(t))))
		})
	}
}

// decoded returns lines of JSON as values.
func decoded(t *testing.T, lines []string) (values []any) {
	t.Helper()
	for _, line := range lines {
		var value any
		require.NoError(t, json.Unmarshal([]byte(line), &value), line)
		values = append(values, value)
	}
	return values
}

func talkOfNode(t *testing.T, worker ...string) []string {
	t.Helper()
	got := clitest.Run(t, append([]string{"node", "testdata/talk.js"}, worker...)...)
	require.Equal(t, 0, got.Code, got.Stderr)
	require.Empty(t, got.Stderr)
	return strings.Split(strings.TrimSpace(got.Stdout), "\n")
}

// talkAsPrimary is the primary of testdata/talk.js in Go.
func talkAsPrimary(t *testing.T, words ...string) (said []string) {
	t.Helper()
	ctx := clitest.Context(t)
	var h *harness
	h = startPrimary(t, Settings{DrainTimeout: clitest.Never, Command: func(_, _ int) *exec.Cmd {
		cmd := h.workerCommand(words...)
		cmd.Env = append(cmd.Env, "TALK_NAME=the first")
		return cmd
	}})
	next, stop := iter.Pull2(h.Messages())
	defer stop()
	w, err := h.Fork()
	require.NoError(t, err)
	say := func(words ...any) {
		line, err := json.Marshal(words)
		require.NoError(t, err)
		said = append(said, string(line))
	}
	_, hello, _ := next()
	say(hello.Data)
	for _, value := range []any{nil, true, 1.5, "中文 \u2028 \"\\\n", []any{1, []int{2}}, json.RawMessage(`{"a":{"b":null}}`),
		map[string]string{"cmd": "hello"}, map[string]string{"act": "newconn"}} {
		require.NoError(t, w.Send(ctx, value))
		from, message, _ := next()
		say(from.ID(), message.Data, message.Kind())
	}
	for _, kind := range []Kind{KindListener, KindConn, KindPacketConn} {
		socket := newSocket(t, kind)
		require.NoError(t, w.SendHandle(ctx, map[string]any{"use": kind}, socket.(syscall.Conn)))
		from, message, _ := next()
		say(from.ID(), message.Data, message.Kind(), addressOf(takeSocket(t, message)) == addressOf(socket))
	}
	require.NoError(t, w.Send(ctx, "shutdown"))
	w.Leave()
	exit := h.exitOf(w)
	say("exit", exit.Exit.Code, exit.AfterDisconnect)
	return said
}

// newSocket returns a socket of a kind.
func newSocket(t *testing.T, kind Kind) any {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	switch kind {
	case KindConn:
		return dial(t, "tcp", l.Addr().String())
	case KindPacketConn:
		conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	return l
}

// takeSocket takes the handle of a message, by its kind.
func takeSocket(t *testing.T, m Message) any {
	t.Helper()
	socket, err := socketOf(m)
	require.NoError(t, err)
	require.NotNil(t, socket)
	return socket
}

func socketOf(m Message) (any, error) {
	switch m.Kind() {
	case KindListener:
		return m.Listener()
	case KindConn:
		return m.Conn()
	case KindPacketConn:
		return m.PacketConn()
	}
	return nil, nil
}

func addressOf(socket any) netip.AddrPort {
	if l, is := socket.(net.Listener); is {
		return netip.MustParseAddrPort(l.Addr().String())
	}
	return netip.MustParseAddrPort(socket.(interface{ LocalAddr() net.Addr }).LocalAddr().String())
}

func init() {
	roles["talk"] = func(...string) error {
		ctx := context.Background()
		if err := Send(ctx, map[string]any{"id": WorkerID(), "name": os.Getenv("TALK_NAME")}); err != nil {
			return err
		}
		for message, err := range Messages() {
			if err != nil {
				return err
			}
			if bytes.Equal(message.Data, []byte(`"shutdown"`)) {
				<-Leaving()
				return nil
			}
			back := map[string]any{"back": message.Data}
			socket, err := socketOf(message)
			if err != nil {
				return err
			}
			if socket == nil {
				err = Send(ctx, back)
			} else {
				err = SendHandle(ctx, back, socket.(syscall.Conn))
			}
			if err != nil {
				return err
			}
		}
		return fmt.Errorf("the primary is gone")
	}
}

func init() {
	roles["floods and serves"] = func(args ...string) error {
		l, err := Listen("tcp", args[0])
		if err != nil {
			return err
		}
		go func() {
			for range Messages() {
			}
		}()
		go func() {
			for Send(context.Background(), strings.Repeat("x", 1000)) == nil {
			}
		}()
		for {
			conn, err := l.Accept()
			if err != nil {
				return nil
			}
			conn.Close()
		}
	}
}

// A worker must go on reading its channel while its primary does not read: a program that answers
// each of many messages would wait for the worker, and the worker for the program.
func TestConnectionsBetweenManyMessages(t *testing.T) {
	t.Parallel()
	h := startPrimary(t, Settings{}, "go", "floods and serves", "127.0.0.1:0")
	workers, address := h.fork(1)
	go func() {
		reply := strings.Repeat("y", 3000)
		for w, m := range h.Messages() {
			m.Close()
			w.Send(context.Background(), reply)
		}
	}()
	for range clitest.Times(50, 500) {
		_, err := io.ReadAll(dial(t, "tcp", address))
		require.NoError(t, err)
	}
	workers[0].Signal(syscall.SIGKILL)
}
