package ipc

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"playing-with-processes/internal/clitest"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func init() {
	addScenario("crossing", crossServers)
	roles["node-hold"] = asChild(holdConnections)
	roles["node-reject"] = rejectHandles
}

// A Node server must get the number of connections that its Go child has open, and must
// be able to close.
func TestNodeServerCountsConnections(t *testing.T) {
	noLeaks(t)
	for _, what := range []string{"hold", "close", "drop", "ignore"} {
		t.Run(what, func(t *testing.T) {
			noLeaks(t)
			nodeParent(t, "counts.js", what)
		})
	}
}

// holdConnections does with each connection what its message says. It replies to messages
// without a connection.
func holdConnections(ctx context.Context, connect func(Config) (*Channel, error)) error {
	c, err := connect(Config{})
	if err != nil {
		return err
	}
	var held []net.Conn
	var ignored []Message
	defer func() { runtime.KeepAlive(ignored) }()
	for msg, err := range c.Messages() {
		var what string
		if err := errors.Join(err, msg.Decode(&what)); err != nil {
			return err
		}
		switch what {
		case "hold", "close":
			conn, err := msg.Conn()
			if err != nil {
				return err
			}
			if what == "close" {
				conn.Close()
			} else {
				held = append(held, conn)
			}
			continue
		case "drop":
			msg.Close()
			continue
		case "ignore":
			ignored = append(ignored, msg)
			continue
		case "close one":
			held[0].Close()
			held = held[1:]
		}
		if err := c.Send(ctx, what); err != nil {
			return err
		}
	}
	return nil
}

// Node sends a rejected handle again, in one more wrapper each time. Each of its lines,
// as recorded here, must be delivered and acknowledged once.
func TestNodeRetriesRejectedHandle(t *testing.T) {
	noLeaks(t)
	const first = `{"cmd":"NODE_HANDLE","type":"net.Socket","msg":"with a connection","key":"4:127.0.0.1:0"}`
	const again = `{"cmd":"NODE_HANDLE","type":"net.Native","msg":` + first + `}`
	for rejections, want := range [][]string{
		{first},
		{first, again},
		{first, again, again},
		{first, again, again, again},
		{first, again, again, again}, // Node gives up after the last rejection
	} {
		t.Run(fmt.Sprint(rejections, " rejections"), func(t *testing.T) {
			noLeaks(t)
			out := nodeParent(t, "rejected.js", strconv.Itoa(rejections))
			got := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
			require.Empty(t, cmp.Diff(append(want, `"after it"`), got))
			for _, line := range want {
				requireAcknowledgedOnce(t, line)
			}
		})
	}
}

// rejectHandles is a child that receives handles without a Channel. It prints all lines
// that it receives.
func rejectHandles() {
	rejections, _ := strconv.Atoi(os.Args[2])
	conn, err := net.FileConn(os.NewFile(3, "channel"))
	if err != nil {
		panic(err)
	}
	p := &peer{UnixConn: conn.(*net.UnixConn)}
	in := bufio.NewReader(p)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			panic(err)
		}
		fmt.Print(line)
		if !strings.HasPrefix(line, `{"cmd":"NODE_HANDLE"`) {
			return
		}
		reply := lineACK
		if rejections--; rejections >= 0 {
			reply = lineNACK
		}
		fmt.Fprintln(p.UnixConn, reply)
	}
}

// requireAcknowledgedOnce passes a line with a connection to a Channel, which must
// acknowledge it once, count the connection and deliver the message.
func requireAcknowledgedOnce(t *testing.T, line string) {
	t.Helper()
	c, p := newPeer(t, Config{})
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	require.NoError(t, err)
	p.pass(line+"\n", fds[0])
	unix.Close(fds[0])
	unix.Close(fds[1])
	p.write(`{"cmd":"NODE_SOCKET_GET_COUNT","key":"4:127.0.0.1:0"}` + "\n" + `"last"` + "\n")
	msg := receive(t, c)
	require.Equal(t, `"with a connection"`, string(msg.Data))
	conn, err := msg.Conn()
	require.NoError(t, err)
	require.Equal(t, `"last"`, string(receive(t, c).Data))
	require.NoError(t, conn.Close())
	require.Equal(t, lineACK, p.line())
	require.Equal(t, `{"cmd":"NODE_SOCKET_COUNT","key":"4:127.0.0.1:0","count":1}`, p.line())
	require.NoError(t, c.Disconnect())
	_, err = p.in.ReadByte()
	require.ErrorIs(t, err, io.EOF, "only one acknowledgement")
}

// A socket that is sent in blocking mode must not block Node's only thread.
func TestBlockingSocketDoesNotFreezeNode(t *testing.T) {
	noLeaks(t)
	child := fork(t, node(t, `process.on('message', (_, socket) => {
		socket.end('x'.repeat(1 << 20), () => process.disconnect());
		process.send('not frozen');
	})`))
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	require.NoError(t, err)
	theirs, ours := os.NewFile(uintptr(fds[0]), "theirs"), os.NewFile(uintptr(fds[1]), "ours")
	defer ours.Close() // has no effect after the Close below
	require.NoError(t, child.SendHandle(clitest.Context(t), "blocking", theirs))
	require.NoError(t, theirs.Close())
	require.Equal(t, `"not frozen"`, string(receive(t, child.Channel).Data))
	n, err := io.Copy(io.Discard, ours)
	require.NoError(t, err)
	require.Equal(t, int64(1<<20), n)
	require.NoError(t, ours.Close()) // Node waits for the end
	requireExit(t, Exit{}, child)
}

// Node and Go may send handles at the same time. Neither blocks the other.
func TestNodeAndGoSendHandlesConcurrently(t *testing.T) {
	noLeaks(t)
	testWithNode(t, "crossing")
}

func crossServers(ctx context.Context, connect func(Config) (*Channel, error)) error {
	const senders, each = 5, 10
	c, err := connect(Config{})
	if err != nil {
		return err
	}
	results := make(chan error, senders)
	for range senders {
		go func() { results <- sendServers(ctx, c, each) }()
	}
	for range senders*each + 1 {
		if err := receiveServer(c); err != nil {
			return err
		}
	}
	for range senders {
		err = errors.Join(err, <-results)
	}
	return err
}

type serverMessage struct {
	Port int    `json:"port"`
	Pad  string `json:"pad"`
}

func sendServers(ctx context.Context, c *Channel, n int) error {
	size := 300_000 // more than the kernel accepts at once
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		message := serverMessage{ln.Addr().(*net.TCPAddr).Port, strings.Repeat("x", size)}
		size = 40_000
		err = c.SendHandle(ctx, message, ln.(*net.TCPListener))
		if err := errors.Join(err, ln.Close()); err != nil {
			return err
		}
	}
	return nil
}

// receiveServer receives a server, or the message that Node has received all servers.
func receiveServer(c *Channel) error {
	msg, err := c.Receive()
	if err != nil || string(msg.Data) == `"all"` {
		return err
	}
	var want serverMessage
	if err := msg.Decode(&want); err != nil {
		return err
	}
	ln, err := msg.Listener()
	if err != nil {
		return err
	}
	defer ln.Close()
	if got := ln.Addr().(*net.TCPAddr).Port; got != want.Port {
		return fmt.Errorf("got the server of port %d, want %d", got, want.Port)
	}
	return nil
}
