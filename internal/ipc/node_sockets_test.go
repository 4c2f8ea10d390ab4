package ipc

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func init() {
	addScenario("sockets", exchangeSockets)
	addScenario("echo", echoSockets)
}

// testSocket is a socket to send. dial connects to the process that has it then.
type testSocket struct {
	socket sendable
	dial   func() (net.Conn, error)
}

type sendable interface {
	syscall.Conn
	io.Closer
}

var socketKinds = []string{"tcp server", "unix server", "tcp connection", "unix connection", "udp socket"}

// newTestSocket makes a socket of a kind. Only a Unix socket uses path.
func newTestSocket(kind, path string) (testSocket, error) {
	network, what, _ := strings.Cut(kind, " ")
	address := map[string]string{"tcp": "127.0.0.1:0", "udp": "127.0.0.1:0", "udp6": "[::1]:0", "unix": path}[network]
	if what == "socket" {
		pc, err := net.ListenPacket(network, address)
		if err != nil {
			return testSocket{}, err
		}
		dial := func() (net.Conn, error) { return net.Dial(network, pc.LocalAddr().String()) }
		return testSocket{pc.(sendable), dial}, nil
	}
	ln, err := net.Listen(network, address)
	if err != nil {
		return testSocket{}, err
	}
	if ln, ok := ln.(*net.UnixListener); ok {
		ln.SetUnlinkOnClose(false)
	}
	dial := func() (net.Conn, error) { return net.Dial(network, ln.Addr().String()) }
	if what == "server" {
		return testSocket{ln.(sendable), dial}, nil
	}
	defer ln.Close()
	conn, err := dial()
	if err != nil {
		return testSocket{}, err
	}
	kept, err := ln.Accept()
	return testSocket{conn.(sendable), func() (net.Conn, error) { return kept, err }}, nil
}

// ping requires that the process that has the socket answers a ping.
func (s testSocket) ping() error {
	conn, err := s.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "ping\n"); err != nil {
		return err
	}
	return expectLine(conn, "pong\n")
}

// expectLine requires that the next line or, over UDP, the next datagram is want.
func expectLine(r io.Reader, want string) error {
	line, err := bufio.NewReader(r).ReadString('\n')
	if err == nil && line != want {
		err = fmt.Errorf("got %q, want %q", line, want)
	}
	return err
}

// answerPing answers one ping at the socket of msg.
func answerPing(msg Message, kind string) error {
	switch _, what, _ := strings.Cut(kind, " "); what {
	case "server":
		ln, err := msg.Listener()
		if err != nil {
			return err
		}
		defer ln.Close()
		conn, err := ln.Accept()
		if err != nil {
			return err
		}
		return replyPong(conn)
	case "connection":
		conn, err := msg.Conn()
		if err != nil {
			return err
		}
		return replyPong(conn)
	}
	pc, err := msg.PacketConn()
	if err != nil {
		return err
	}
	return replyPongDatagram(pc)
}

func replyPong(conn net.Conn) error {
	defer conn.Close()
	if err := expectLine(conn, "ping\n"); err != nil {
		return err
	}
	_, err := io.WriteString(conn, "pong\n")
	return err
}

func replyPongDatagram(pc net.PacketConn) error {
	defer pc.Close()
	buf := make([]byte, 100)
	n, from, err := pc.ReadFrom(buf)
	if err != nil || string(buf[:n]) != "ping\n" {
		return fmt.Errorf("got %q, %v", buf[:n], err)
	}
	_, err = pc.WriteTo([]byte("pong\n"), from)
	return err
}

// Each kind of socket must arrive in both directions and be usable by its receiver.
func TestNodeExchangesSockets(t *testing.T) {
	noLeaks(t)
	testWithNode(t, "sockets")
}

func exchangeSockets(ctx context.Context, connect func(Config) (*Channel, error)) error {
	c, err := connect(Config{})
	if err != nil {
		return err
	}
	return forEachKind(socketKinds, func(kind, path string) error {
		if err := sendSocket(ctx, c, kind, path+"-go"); err != nil {
			return fmt.Errorf("from Go to Node: %w", err)
		}
		if err := receiveSocket(ctx, c, kind, path+"-node"); err != nil {
			return fmt.Errorf("from Node to Go: %w", err)
		}
		return nil
	})
}

// forEachKind calls do with each kind of socket, and with a path for it that is removed
// afterwards.
func forEachKind(kinds []string, do func(kind, path string) error) error {
	dir, err := os.MkdirTemp("", "sockets")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, kind := range kinds {
		path := filepath.Join(dir, strings.ReplaceAll(kind, " ", "-"))
		if err := do(kind, path); err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
	}
	return nil
}

func sendSocket(ctx context.Context, c *Channel, kind, path string) error {
	s, err := newTestSocket(kind, path)
	if err != nil {
		return err
	}
	err = c.SendHandle(ctx, map[string]string{"use": kind}, s.socket)
	return errors.Join(err, s.socket.Close(), s.ping())
}

func receiveSocket(ctx context.Context, c *Channel, kind, path string) error {
	if err := c.Send(ctx, map[string]string{"send": kind, "path": path}); err != nil {
		return err
	}
	msg, err := c.Receive()
	if err != nil {
		return err
	}
	if err := answerPing(msg, kind); err != nil {
		return err
	}
	msg, err = c.Receive()
	if want := fmt.Sprintf(`{"done":%q}`, kind); err == nil && string(msg.Data) != want {
		err = fmt.Errorf("got %s, want %s", msg.Data, want)
	}
	return err
}

// Node sends back the sockets that Go sends. The NODE_HANDLE lines of both must be the
// same bytes.
func TestNodeWritesTheSameHandleLines(t *testing.T) {
	noLeaks(t)
	testWithNode(t, "echo")
}

func echoSockets(ctx context.Context, connect func(Config) (*Channel, error)) error {
	lines := map[string][]string{}
	c, err := connect(Config{Trace: func(e Event) {
		if e.FD >= 0 {
			lines[e.What] = append(lines[e.What], string(e.Line))
		}
	}})
	if err != nil {
		return err
	}
	kinds := slices.Clone(socketKinds)
	if v6, err := net.ListenPacket("udp6", "[::1]:0"); err == nil { // not in every container
		v6.Close()
		kinds = append(kinds, "udp6 socket")
	}
	err = forEachKind(kinds, func(kind, path string) error { return echoSocket(ctx, c, kind, path) })
	if err != nil {
		return err
	}
	if len(lines["receive"]) != len(kinds) {
		return fmt.Errorf("%d lines came back", len(lines["receive"]))
	}
	if diff := cmp.Diff(lines["receive"], lines["send"]); diff != "" {
		return errors.New("- is Node, + is Go\n" + diff)
	}
	return nil
}

// echoSocket sends a socket to Node and uses it after its return.
func echoSocket(ctx context.Context, c *Channel, kind, path string) error {
	s, err := newTestSocket(kind, path)
	if err != nil {
		return err
	}
	message := map[string]string{"kind": kind, "text": "中文 <&> \u2028 \"\\\n"}
	err = c.SendHandle(ctx, message, s.socket)
	if err := errors.Join(err, s.socket.Close()); err != nil {
		return err
	}
	msg, err := c.Receive()
	if err != nil {
		return err
	}
	if _, err := c.Receive(); err != nil { // Node has closed its copy
		return err
	}
	answered := make(chan error, 1)
	go func() { answered <- answerPing(msg, kind) }()
	return errors.Join(s.ping(), <-answered)
}
