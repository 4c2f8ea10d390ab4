package ipc

import (
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

// roles are what this test binary does as a child. Its first argument names the role.
var roles = map[string]func(){}

// AddRole adds a role for the tests of package ipc_test.
func AddRole(name string, run func()) { roles[name] = run }

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		if run, ok := roles[os.Args[1]]; ok {
			// If a test fails, it may leave a process that waits for it.
			time.AfterFunc(clitest.Never, func() { panic("still running") })
			run()
			return
		}
	}
	os.Setenv("GORACE", "atexit_sleep_ms=0") // without it each child takes a second to exit
	os.Exit(m.Run())
}

// role returns a command that runs this test binary in a role.
func role(t *testing.T, name string) *exec.Cmd {
	require.Contains(t, roles, name)
	return Self(name)
}

// mustParent is Parent for roles that need a channel.
func mustParent() *Channel {
	parent, err := Parent()
	if err != nil {
		panic(err)
	}
	return parent
}

// must ends a role that has failed.
func must(err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "role %q: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}

// waitForStdinEOF waits for the end of standard input, which the test holds open.
func waitForStdinEOF() { io.Copy(io.Discard, os.Stdin) }

// pipeStdio gives cmd a standard input that ends with the test. firstLine reads the first
// line of its output.
func pipeStdio(t *testing.T, cmd *exec.Cmd) (firstLine func() string) {
	t.Helper()
	stdin, hold, err := os.Pipe()
	require.NoError(t, err)
	out, stdout, err := os.Pipe()
	require.NoError(t, err)
	cmd.Stdin, cmd.Stdout = stdin, stdout
	t.Cleanup(func() {
		for _, f := range []*os.File{stdin, hold, out, stdout} {
			f.Close()
		}
	})
	return func() string {
		line := make([]byte, 100)
		n, err := out.Read(line)
		require.NoError(t, err)
		return strings.TrimSpace(string(line[:n]))
	}
}

func fork(t *testing.T, cmd *exec.Cmd) *Child { return forkWith(t, Config{}, cmd) }

// forkWith forks cmd, and kills it at the latest when the test ends.
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

func requireExit(t *testing.T, want Exit, child *Child) {
	t.Helper()
	exit, err := child.Wait()
	require.NoError(t, err)
	require.Equal(t, want, exit)
}

// receive returns the next message, which must not be an error.
func receive(t *testing.T, c *Channel) Message {
	t.Helper()
	msg, err := receiveAny(t, c)
	require.NoError(t, err)
	return msg
}

// receiveAny returns the next message or error. io.EOF is the end of the channel.
func receiveAny(t *testing.T, c *Channel) (Message, error) {
	t.Helper()
	return c.Receive()
}

// receiveAll returns everything that the channel delivers until it ends, but no handles.
func receiveAll(t *testing.T, c *Channel) (data []string, errs []error) {
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
			msg.Close()
		}
	}
}

// listener returns a TCP listener, which is closed when the test ends.
func listener(t *testing.T) *net.TCPListener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { ln.Close() })
	return ln.(*net.TCPListener)
}

// noLeaks needs tests that run one at a time, as all tests of this package do.
var noLeaks = clitest.NoLeaks
