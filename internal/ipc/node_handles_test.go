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
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func init() {
	addDialogue("sockets", useSockets)
	addDialogue("echo", echoSockets)
	addDialogue("crossing", crossing)
	roles["node-hold"] = asChild(hold)
	roles["node-refuse"] = refuse
}

// given is a socket to give away. ask connects to whoever has it then.
type given struct {
	socket handOver
	ask    func() (net.Conn, error)
}

type handOver interface {
	syscall.Conn
	io.Closer
}

var socketKinds = []string{"tcp server", "unix server", "tcp connection", "unix connection", "udp socket"}

// newGiven makes a socket of a kind; if it needs a name in the file system, path.
func newGiven(kind, path string) (given, error) {
	network, what, _ := strings.Cut(kind, " ")
	address := map[string]string{"tcp": "127.0.0.1:0", "udp": "127.0.0.1:0", "udp6": "[::1]:0", "unix": path}[network]
	if what == "socket" {
		pc, err := net.ListenPacket(network, address)
		if err != nil {
			return given{}, err
		}
		ask := func() (net.Conn, error) { return net.Dial(network, pc.LocalAddr().String()) }
		return given{pc.(handOver), ask}, nil
	}
	ln, err := net.Listen(network, address)
	if err != nil {
		return given{}, err
	}
	if ln, ok := ln.(*net.UnixListener); ok {
		ln.SetUnlinkOnClose(false)
	}
	dial := func() (net.Conn, error) { return net.Dial(network, ln.Addr().String()) }
	if what == "server" {
		return given{ln.(handOver), dial}, nil
	}
	defer ln.Close()
	conn, err := dial()
	if err != nil {
		return given{}, err
	}
	kept, err := ln.Accept()
	return given{conn.(handOver), func() (net.Conn, error) { return kept, err }}, nil
}

// ping asks whoever has the socket now.
func (g given) ping() error {
	conn, err := g.ask()
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, "ping\n"); err != nil {
		return err
	}
	return expect(conn, "pong\n")
}

// expect reads one line, which is one datagram of UDP.
func expect(r io.Reader, want string) error {
	line, err := bufio.NewReader(r).ReadString('\n')
	if err == nil && line != want {
		err = fmt.Errorf("got %q, want %q", line, want)
	}
	return err
}

// answer uses the socket of a message: it answers one ping.
func answer(msg Message, kind string) error {
	switch _, what, _ := strings.Cut(kind, " "); what {
	case "server":
		ln, err := msg.Listener()
		if err != nil {
			return err
		}
		defer ln.Close()
		ln.(interface{ SetDeadline(time.Time) error }).SetDeadline(time.Now().Add(patience))
		conn, err := ln.Accept()
		if err != nil {
			return err
		}
		return pong(conn)
	case "connection":
		conn, err := msg.Conn()
		if err != nil {
			return err
		}
		return pong(conn)
	}
	pc, err := msg.PacketConn()
	if err != nil {
		return err
	}
	return pongDatagram(pc)
}

func pong(conn net.Conn) error {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if err := expect(conn, "ping\n"); err != nil {
		return err
	}
	_, err := io.WriteString(conn, "pong\n")
	return err
}

func pongDatagram(pc net.PacketConn) error {
	defer pc.Close()
	pc.SetDeadline(time.Now().Add(patience))
	buf := make([]byte, 100)
	n, from, err := pc.ReadFrom(buf)
	if err != nil || string(buf[:n]) != "ping\n" {
		return fmt.Errorf("got %q, %v", buf[:n], err)
	}
	_, err = pc.WriteTo([]byte("pong\n"), from)
	return err
}

// A handle that arrived as something else, or closed, would not answer: each
// kind goes in each direction, and is used by its receiver.
func TestNodeExchangesSockets(t *testing.T) {
	noLeaks(t)
	bothSeats(t, "sockets")
}

func useSockets(ctx context.Context, connect func(Config) (*Channel, error)) error {
	c, err := connect(Config{})
	if err != nil {
		return err
	}
	return forEachKind(socketKinds, func(kind, path string) error {
		if err := giveSocket(ctx, c, kind, path+"-go"); err != nil {
			return fmt.Errorf("from Go to Node: %w", err)
		}
		if err := takeSocket(ctx, c, kind, path+"-node"); err != nil {
			return fmt.Errorf("from Node to Go: %w", err)
		}
		return nil
	})
}

// forEachKind calls do with each kind of socket, and a path for those that need
// one, which is removed in the end.
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

func giveSocket(ctx context.Context, c *Channel, kind, path string) error {
	g, err := newGiven(kind, path)
	if err != nil {
		return err
	}
	err = c.SendHandle(ctx, map[string]string{"use": kind}, g.socket)
	return errors.Join(err, g.socket.Close(), g.ping())
}

func takeSocket(ctx context.Context, c *Channel, kind, path string) error {
	if err := c.Send(ctx, map[string]string{"give": kind, "path": path}); err != nil {
		return err
	}
	msg, err := hear(c)
	if err != nil {
		return err
	}
	if err := answer(msg, kind); err != nil {
		return err
	}
	msg, err = hear(c)
	if want := fmt.Sprintf(`{"asked":%q}`, kind); err == nil && string(msg.Data) != want {
		err = fmt.Errorf("got %s, want %s", msg.Data, want)
	}
	return err
}

// A NODE_HANDLE line that differed from Node's would be a protocol of our own:
// Node sends back what we send, and the lines must be the same bytes.
func TestNodeSpellsHandlesAsWeDo(t *testing.T) {
	noLeaks(t)
	bothSeats(t, "echo")
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
	g, err := newGiven(kind, path)
	if err != nil {
		return err
	}
	message := map[string]string{"kind": kind, "text": "中文 <&> \u2028 \"\\\n"}
	err = c.SendHandle(ctx, message, g.socket)
	if err := errors.Join(err, g.socket.Close()); err != nil {
		return err
	}
	msg, err := hear(c)
	if err != nil {
		return err
	}
	if _, err := hear(c); err != nil { // that Node has let go of it
		return err
	}
	answered := make(chan error, 1)
	go func() { answered <- answer(msg, kind) }()
	return errors.Join(g.ping(), <-answered)
}

// A count that was wrong would make a Node server report connections it has
// not, and a missing answer would keep it from ever closing.
func TestNodeServerCountsWhatGoHolds(t *testing.T) {
	noLeaks(t)
	for _, what := range []string{"hold", "close", "drop", "ignore"} {
		t.Run(what, func(t *testing.T) {
			noLeaks(t)
			nodeParent(t, "counts.js", what)
		})
	}
}

// hold does with each connection what its message says, and answers the
// messages without one.
func hold(ctx context.Context, connect func(Config) (*Channel, error)) error {
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

// A retransmission taken for something new would be acknowledged twice, of
// which Node dies, or lose the message inside. Node wraps it once more, always
// the same way: its lines are recorded, and then given to a Channel.
func TestNodeSendsRefusedHandleAgain(t *testing.T) {
	noLeaks(t)
	const first = `{"cmd":"NODE_HANDLE","type":"net.Socket","msg":"with a connection","key":"4:127.0.0.1:0"}`
	const again = `{"cmd":"NODE_HANDLE","type":"net.Native","msg":` + first + `}`
	for refusals, want := range [][]string{
		{first},
		{first, again},
		{first, again, again},
		{first, again, again, again},
		{first, again, again, again}, // the last refusal is the end of it
	} {
		t.Run(fmt.Sprint(refusals, " refusals"), func(t *testing.T) {
			noLeaks(t)
			out := nodeParent(t, "refused.js", strconv.Itoa(refusals))
			got := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
			require.Empty(t, cmp.Diff(append(want, `"after it"`), got))
			for _, line := range want {
				takesOnce(t, line)
			}
		})
	}
}

// refuse is a child that plays the receiver of handles by hand. It prints all
// that it is sent.
func refuse() {
	defer bounded("node-refuse").Stop()
	refusals, _ := strconv.Atoi(os.Args[2])
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
		answer := `{"cmd":"NODE_HANDLE_ACK"}`
		if refusals--; refusals >= 0 {
			answer = `{"cmd":"NODE_HANDLE_NACK"}`
		}
		fmt.Fprintln(p.UnixConn, answer)
	}
}

// takesOnce gives a line with a connection to a Channel: it must acknowledge it
// once, count it, and yield the message.
func takesOnce(t *testing.T, line string) {
	t.Helper()
	c, p := pair(t, Config{})
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
	require.Equal(t, `{"cmd":"NODE_HANDLE_ACK"}`, p.line())
	require.Equal(t, `{"cmd":"NODE_SOCKET_COUNT","key":"4:127.0.0.1:0","count":1}`, p.line())
	require.NoError(t, c.Disconnect())
	_, err = p.in.ReadByte()
	require.ErrorIs(t, err, io.EOF, "one answer only")
}

// Handles that left too early would reach the wrong message in Node, which
// reads 64 KiB at a time: each message must have its own connection.
func TestNodeGetsEachHandleWithItsMessage(t *testing.T) {
	noLeaks(t)
	for _, tc := range []struct {
		name         string
		senders, all int
		before       []int // plain messages first, of so many bytes
		between      int   // and a sender's after each of its handles
	}{
		{"200 of 16 senders", 16, 200, nil, 0},
		{"two after 30,000 bytes", 2, 2, []int{30_000}, 0},
		{"two after 60,000 bytes", 2, 2, []int{60_000}, 0},
		{"two after 65,500 bytes", 2, 2, []int{65_500}, 0},
		{"two after 10 times 6,550 bytes", 2, 2, slices.Repeat([]int{6_550}, 10), 0},
		{"200 after 65,500 bytes", 16, 200, []int{65_500}, 0},
		{"200 bytes between", 16, 64, nil, 200},
		{"5,000 bytes between", 16, 64, []int{65_000}, 5_000},
		{"70,000 bytes between", 4, 24, nil, 70_000},
	} {
		t.Run(tc.name, func(t *testing.T) {
			noLeaks(t)
			defer bounded(t.Name()).Stop()
			sendClaims(t, tc.senders, tc.all, tc.before, tc.between)
		})
	}
}

// sendClaims starts all senders while Node does not read, so that what may be
// in flight together is.
func sendClaims(t *testing.T, senders, all int, before []int, between int) {
	ctx := testContext(t)
	cmd := script(t, "claims.js", strconv.Itoa(all))
	release, err := cmd.StdinPipe()
	require.NoError(t, err)
	child := fork(t, cmd)
	require.NoError(t, child.Send(ctx, "wait"))
	require.Equal(t, `"waiting"`, string(receive(t, child.Channel).Data))
	for _, size := range before {
		require.NoError(t, child.Send(ctx, padding(size)))
	}
	var atTheDoor sync.WaitGroup
	results := make(chan error, senders)
	for first := range senders {
		atTheDoor.Add(1)
		arrived := sync.OnceFunc(atTheDoor.Done)
		go func() {
			defer arrived()
			for n := first; n < all; n += senders {
				if err := claim(ctx, child.Channel, n, arrived); err != nil {
					results <- err
					return
				}
				if between > 0 {
					child.Send(ctx, padding(between)) // Node may have gone: it has all it is due
				}
			}
			results <- nil
		}()
	}
	atTheDoor.Wait()
	for range 1000 { // lets them step in
		runtime.Gosched()
	}
	release.Close()
	for range senders {
		require.NoError(t, <-results)
	}
	requireExit(t, Exit{}, child)
}

// padding is a message of so many bytes on the wire.
func padding(size int) string { return strings.Repeat("x", size-len("\"\"\n")) }

// claim sends a connection with a message that says what can be read from it.
func claim(ctx context.Context, c *Channel, n int, atTheDoor func()) error {
	text := fmt.Sprintf("connection %d", n)
	conn, err := holding(text)
	if err != nil {
		return err
	}
	err = c.SendHandle(ctx, map[string]string{"holds": text}, announced{conn, atTheDoor})
	if err := errors.Join(err, conn.Close()); err != nil {
		return fmt.Errorf("%s: %w", text, err)
	}
	return nil
}

// holding is a connection from which text can be read, and then its end.
func holding(text string) (*net.UnixConn, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, err
	}
	_, err = unix.Write(fds[1], []byte(text))
	unix.Close(fds[1])
	file := os.NewFile(uintptr(fds[0]), text)
	defer file.Close()
	conn, failed := net.FileConn(file)
	if err := errors.Join(err, failed); err != nil {
		return nil, err
	}
	return conn.(*net.UnixConn), nil
}

// announced is a handle that tells that it is about to be sent.
type announced struct {
	syscall.Conn
	tell func()
}

func (a announced) SyscallConn() (syscall.RawConn, error) {
	a.tell()
	return a.Conn.SyscallConn()
}

// A socket that arrived blocking would freeze Node's only thread at the first
// write that nobody reads.
func TestNodeIsNotFrozenByBlockingSocket(t *testing.T) {
	noLeaks(t)
	child := fork(t, node(t, `process.on('message', (_, socket) => {
		socket.end('x'.repeat(1 << 20), () => process.disconnect());
		process.send('not frozen');
	})`))
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	require.NoError(t, err)
	theirs, ours := os.NewFile(uintptr(fds[0]), "theirs"), os.NewFile(uintptr(fds[1]), "ours")
	defer ours.Close() // again, if all is well
	require.NoError(t, child.SendHandle(testContext(t), "blocking", theirs))
	require.NoError(t, theirs.Close())
	require.Equal(t, `"not frozen"`, string(receive(t, child.Channel).Data))
	n, err := io.Copy(io.Discard, ours)
	require.NoError(t, err)
	require.Equal(t, int64(1<<20), n)
	require.NoError(t, ours.Close()) // for which Node waits
	requireExit(t, Exit{}, child)
}

// A side that did not read while it waits for an acknowledgement would block
// for ever when the other does the same.
func TestNodeAndGoSendHandlesAtOnce(t *testing.T) {
	noLeaks(t)
	bothSeats(t, "crossing")
}

func crossing(ctx context.Context, connect func(Config) (*Channel, error)) error {
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
		if err := takeServer(c); err != nil {
			return err
		}
	}
	for range senders {
		err = errors.Join(err, <-results)
	}
	return err
}

type onPort struct {
	Port int    `json:"port"`
	Pad  string `json:"pad"`
}

func sendServers(ctx context.Context, c *Channel, n int) error {
	size := 300_000 // more than the kernel takes at once
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		message := onPort{ln.Addr().(*net.TCPAddr).Port, strings.Repeat("x", size)}
		size = 40_000
		err = c.SendHandle(ctx, message, ln.(*net.TCPListener))
		if err := errors.Join(err, ln.Close()); err != nil {
			return err
		}
	}
	return nil
}

// takeServer hears of a server, or that Node has got all of ours.
func takeServer(c *Channel) error {
	msg, err := hear(c)
	if err != nil || string(msg.Data) == `"all"` {
		return err
	}
	var want onPort
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
