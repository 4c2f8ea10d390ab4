package ipc

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func init() { roles["print-parent-error"] = printParentError }

// printParentError prints the error of Parent, whether the variables are still set, and
// the error of a second call.
func printParentError() {
	_, err := Parent()
	fmt.Println(err)
	_, fd := os.LookupEnv(channelFD)
	_, mode := os.LookupEnv(serializationMode)
	fmt.Println("left:", fd, mode)
	_, err = Parent()
	fmt.Println(err)
}

// parentTest starts a process with a descriptor 3 and the variables of a channel.
type parentTest struct {
	name, number, mode string
	third              func(t *testing.T) *os.File // closed by the test
	want               string                      // the error of Parent
}

// Parent rejects a number that is not a descriptor, and a descriptor that is not open.
func TestParentRejectsNumbers(t *testing.T) {
	notDescriptor := func(number string) string {
		return fmt.Sprintf("NODE_CHANNEL_FD=%q is not a descriptor", number)
	}
	notOpen := func(number string) string {
		return fmt.Sprintf("NODE_CHANNEL_FD=%s is not an open AF_UNIX stream socket", number)
	}
	for _, test := range []parentTest{
		{name: "empty", number: "", want: ErrNotForked.Error()},
		{name: "word", number: "x", want: notDescriptor("x")},
		{name: "negative", number: "-1", want: notDescriptor("-1")},
		{name: "huge", number: "99999999999999999999", want: notDescriptor("99999999999999999999")},
		{name: "beyond 32 bits", number: "4294967299", want: notDescriptor("4294967299")},
		{name: "leading blank", number: " 3", third: channelSocket, want: notDescriptor(" 3")},
		{name: "trailing unit", number: "3fd", third: channelSocket, want: notDescriptor("3fd")},
		{name: "not open", number: "77", want: notOpen("77")},
		{name: "descriptor of the runtime", number: "4", want: notOpen("4")},
	} {
		test.mode = "json"
		t.Run(test.name, test.run)
	}
}

// Parent accepts only an AF_UNIX stream socket, and only JSON.
func TestParentAcceptsOnlyAChannel(t *testing.T) {
	const notStream = "NODE_CHANNEL_FD=3 is not an open AF_UNIX stream socket"
	const advanced = `NODE_CHANNEL_SERIALIZATION_MODE="advanced": only json is supported`
	for _, test := range []parentTest{
		{"channel", "3", "json", channelSocket, "<nil>"},
		{"channel without mode", "3", "", channelSocket, "<nil>"},
		{"advanced mode", "3", "advanced", channelSocket, advanced},
		{"mode alone", "", "advanced", channelSocket, ErrNotForked.Error()},
		{"file", "3", "json", nullFile, notStream},
		{"pipe", "3", "json", pipeReader, notStream},
		{"TCP", "3", "json", newSocket(unix.AF_INET, unix.SOCK_STREAM), notStream},
		{"TCP listener", "3", "json", listenerFile, notStream},
		{"TCP over IPv6", "3", "json", newSocket(unix.AF_INET6, unix.SOCK_STREAM), notStream},
		{"UDP", "3", "json", newSocket(unix.AF_INET, unix.SOCK_DGRAM), notStream},
		{"Unix datagrams", "3", "json", datagramSocket, notStream},
		{"Unix packets", "3", "json", newSocket(unix.AF_UNIX, unix.SOCK_SEQPACKET), notStream},
	} {
		t.Run(test.name, test.run)
	}
}

// run requires the error of Parent. In every case Parent unsets the variables, so that a
// second call returns ErrNotForked.
func (test parentTest) run(t *testing.T) {
	noLeaks(t)
	cmd := role(t, "print-parent-error")
	cmd.Stdout = nil
	cmd.Env = append(os.Environ(), channelFD+"="+test.number, serializationMode+"="+test.mode)
	if test.third != nil {
		third := test.third(t)
		defer third.Close()
		cmd.ExtraFiles = []*os.File{third}
	}
	out, err := cmd.Output()
	require.NoError(t, err)
	require.Equal(t, test.want+"\nleft: false false\n"+ErrNotForked.Error()+"\n", string(out))
}

// newSocket returns a function that makes a socket that is not connected.
func newSocket(family, kind int) func(t *testing.T) *os.File {
	return func(t *testing.T) *os.File {
		fd, err := unix.Socket(family, kind, 0)
		if err == unix.EAFNOSUPPORT {
			t.Skip("no such sockets here")
		}
		require.NoError(t, err)
		return os.NewFile(uintptr(fd), "socket")
	}
}

var channelSocket = newSocket(unix.AF_UNIX, unix.SOCK_STREAM)

func datagramSocket(t *testing.T) *os.File {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(fds[1]) })
	return os.NewFile(uintptr(fds[0]), "datagrams")
}

func nullFile(t *testing.T) *os.File {
	file, err := os.Open("/dev/null")
	require.NoError(t, err)
	return file
}

func pipeReader(t *testing.T) *os.File {
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { writer.Close() })
	return reader
}

func listenerFile(t *testing.T) *os.File {
	file, err := listener(t).File()
	require.NoError(t, err)
	return file
}
