package ipc

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"playing-with-processes/internal/clitest"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// patience is how long a test waits for what must come at once. Nothing is
// right because of it; it only turns a hang into a failure.
const patience = 30 * time.Second

// roles are what this test binary does when it is forked: fork(role("echo")).
var roles = map[string]func(){}

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		if play, ok := roles[os.Args[1]]; ok {
			play()
			return
		}
	}
	os.Setenv("GORACE", "atexit_sleep_ms=0") // or each child takes a second to exit
	os.Exit(m.Run())
}

// role is this test binary as a child, its output going to the test's log.
func role(t *testing.T, args ...string) *exec.Cmd {
	require.Contains(t, roles, args[0])
	return Self(args...)
}

func fork(t *testing.T, cmd *exec.Cmd) *Child { return forkWith(t, Config{}, cmd) }

func forkWith(t *testing.T, cfg Config, cmd *exec.Cmd) *Child {
	t.Helper()
	child, err := cfg.Fork(cmd)
	require.NoError(t, err)
	t.Cleanup(func() {
		child.Kill(unix.SIGKILL)
		child.Wait()
		child.Disconnect()
	})
	return child
}

// node is real Node running a program given as text, or a skipped test.
func node(t *testing.T, program string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath("node")
	if err != nil {
		if os.Getenv("REQUIRE_NODE") != "" {
			t.Fatal("REQUIRE_NODE is set and there is no node")
		}
		t.Skip("no node here: this test needs the real thing")
	}
	cmd := exec.Command(path, append([]string{"-e", program, "--"}, args...)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd
}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// receive is the next message, which must come and be one.
func receive(t *testing.T, c *Channel) Message {
	t.Helper()
	msg, err := receiveAny(t, c)
	require.NoError(t, err)
	return msg
}

// receiveAny is the next message or error; io.EOF is the end of the channel.
func receiveAny(t *testing.T, c *Channel) (Message, error) {
	t.Helper()
	watchdog := time.AfterFunc(patience, func() { panic(t.Name() + ": nothing was received") })
	defer watchdog.Stop()
	for msg, err := range c.Messages() {
		return msg, err
	}
	return Message{}, io.EOF
}

// peer is the other end of a channel, played by the test byte by byte.
type peer struct {
	t *testing.T
	*net.UnixConn
	in      *bufio.Reader
	arrived []int // descriptors, oldest first
}

// pair is a channel and its peer.
func pair(t *testing.T, cfg Config) (*Channel, *peer) {
	t.Helper()
	ours, theirs, err := socketpair()
	require.NoError(t, err)
	c := newChannel(ours, cfg)
	file := os.NewFile(uintptr(theirs), "peer")
	conn, err := net.FileConn(file)
	require.NoError(t, err)
	file.Close()
	p := &peer{t: t, UnixConn: conn.(*net.UnixConn)}
	p.in = bufio.NewReader(p)
	p.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() {
		c.Disconnect()
		p.Close()
		for _, fd := range p.arrived {
			unix.Close(fd)
		}
	})
	return c, p
}

// twoChannels are the two ends of one.
func twoChannels(t *testing.T) (a, b *Channel) {
	t.Helper()
	ours, theirs, err := socketpair()
	require.NoError(t, err)
	a, b = newChannel(ours, Config{}), newChannel(theirs, Config{})
	t.Cleanup(func() { a.Disconnect(); b.Disconnect() })
	return a, b
}

// connection is two connected descriptors, closed when the test is over.
func connection(t *testing.T) (ours, theirs int) {
	t.Helper()
	ours, theirs, err := socketpair()
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(ours); unix.Close(theirs) })
	return ours, theirs
}

// listener is a TCP server, closed when the test is over.
func listener(t *testing.T) *net.TCPListener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { ln.Close() })
	return ln.(*net.TCPListener)
}

// Read keeps the descriptors that come along.
func (p *peer) Read(buf []byte) (int, error) {
	oob := make([]byte, unix.CmsgSpace(4*maxRights))
	n, oobn, _, _, err := p.ReadMsgUnix(buf, oob)
	p.arrived = append(p.arrived, parseRights(oob[:oobn])...)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

// line is the next line that the channel wrote.
func (p *peer) line() string {
	p.t.Helper()
	line, err := p.in.ReadString('\n')
	require.NoError(p.t, err)
	return strings.TrimSuffix(line, "\n")
}

// write sends bytes as they are.
func (p *peer) write(format string, args ...any) {
	p.t.Helper()
	_, err := fmt.Fprintf(p.UnixConn, format, args...)
	require.NoError(p.t, err)
}

// pass sends bytes with descriptors.
func (p *peer) pass(text string, fds ...int) {
	p.t.Helper()
	n, _, err := p.WriteMsgUnix([]byte(text), unix.UnixRights(fds...), nil)
	require.NoError(p.t, err)
	require.Equal(p.t, len(text), n)
}

// noLeaks: the tests here run one at a time.
var noLeaks = clitest.NoLeaks
