package ipc

import (
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"playing-with-processes/internal/clitest"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A received handle is acknowledged and can be used.
func TestReceiveHandle(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{})
	pair := newSocketPair(t)
	p.pass(handleMessage, pair.far)
	msg := receive(t, c)
	require.Equal(t, `"handle"`, string(msg.Data))
	pair.requireFarEndOf(t, msg)
	require.Equal(t, lineACK, p.line())
}

// A bound socket that does not listen yet, as a Node cluster shares it, listens once it
// is taken as a listener. A connection cannot be taken as a listener.
func TestReceiveBoundSocket(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{})
	bound, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	require.NoError(t, err)
	require.NoError(t, unix.Bind(bound, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	p.pass(handleMessage, bound)
	require.NoError(t, unix.Close(bound))
	listener, err := receive(t, c).Listener()
	require.NoError(t, err)
	defer listener.Close()
	near, err := net.Dial("tcp", listener.Addr().String())
	require.NoError(t, err)
	defer near.Close()
	far, err := listener.Accept()
	require.NoError(t, err)
	defer far.Close()

	raw, err := far.(*net.TCPConn).SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Control(func(fd uintptr) { p.pass(handleMessage, int(fd)) }))
	message := receive(t, c)
	_, err = message.Listener()
	require.ErrorIs(t, err, ErrNoHandle)
	conn, err := message.Conn()
	require.NoError(t, err)
	require.NoError(t, conn.Close())
}

// A message must say what kind of handle it has, until the handle is taken, closed or moved.
func TestKind(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{})
	p.write("1\n")
	require.Equal(t, NoHandle, receive(t, c).Kind())
	for _, gone := range []func(Message){
		func(m Message) { conn, _ := m.Conn(); conn.Close() },
		func(m Message) { m.Close() },
		func(m Message) {
			moved := m.Move()
			require.Equal(t, KindConn, moved.Kind())
			moved.Close()
		},
	} {
		p.pass(handleMessage, newSocketPair(t).far)
		message := receive(t, c)
		require.Equal(t, KindConn, message.Kind())
		gone(message)
		require.Equal(t, NoHandle, message.Kind())
		require.Equal(t, NoHandle, message.Move().Kind())
	}
}

// A handle can be taken once, and only as the kind of socket that it is.
func TestTakeHandleOnce(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{})
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

// The descriptor alone decides what a handle is. A field of an unexpected type must not
// lose the handle, and it is acknowledged once.
func TestHandleFieldsAreNotTrusted(t *testing.T) {
	wrapped := func(n int) string {
		return strings.Repeat(`{"cmd":"NODE_HANDLE","msg":`, n) + "1" + strings.Repeat("}", n)
	}
	for _, tc := range []struct {
		name, line, want string // want: "" if nothing is delivered
	}{
		{"no msg", `{"cmd":"NODE_HANDLE"}`, `null`},
		{"type is a number", `{"cmd":"NODE_HANDLE","type":5,"msg":[1]}`, `[1]`},
		{"type is unknown", `{"cmd":"NODE_HANDLE","type":"fs.File","msg":1}`, `1`},
		{"type is wrong", `{"cmd":"NODE_HANDLE","type":"dgram.Socket","dgramType":4,"msg":1}`, `1`},
		{"key is an object", `{"cmd":"NODE_HANDLE","key":{"a":"b"},"msg":1}`, `1`},
		{"key is empty", `{"cmd":"NODE_HANDLE","key":"","msg":1}`, `1`},
		{"msg is an acknowledgement", `{"cmd":"NODE_HANDLE","msg":` + lineACK + `}`, ``},
		{"wrapped as often as Node does", wrapped(4), `1`},
		{"wrapped more often", wrapped(1000), ``},
	} {
		t.Run(tc.name, func(t *testing.T) {
			noLeaks(t)
			c, p := newPeer(t, Config{})
			pair := newSocketPair(t)
			p.pass(tc.line+"\n", pair.far)
			if tc.want != "" {
				msg := receive(t, c)
				require.Equal(t, tc.want, string(msg.Data))
				pair.requireFarEndOf(t, msg)
			}
			data, errs := receiveUntilMarker(t, c, p)
			require.Empty(t, data)
			require.Empty(t, errs)
			require.Equal(t, lineACK, p.line())
			pair.requireFarClosed(t)
			requireHandleArrives(t, c, p) // and the next line is its acknowledgement
		})
	}
}

// A descriptor belongs to the line that its bytes are part of, also if that is a long line, or the
// line after one, and whatever else one read brings.
func TestDescriptorInLongLine(t *testing.T) {
	half := strings.Repeat("x", 3*readSize)
	long, message := `"`+half+half+`"`, strings.TrimSpace(handleMessage)
	begin, end := `{"cmd":"NODE_HANDLE","msg":"`+half, half+`"}`
	for _, test := range []struct {
		name, before, with, after string
		want                      []string // "handle" for a message that has the descriptor
	}{
		{"in the middle", begin, "y", end + "\n1\n", []string{"handle", "1"}},
		{"at the end", begin, end[len(end)-5:] + "\n", "1\n", []string{"handle", "1"}},
		{"after a long line", long[:len(long)-5], long[len(long)-5:] + "\n" + message[:9], message[9:] + "\n", []string{long, "handle"}},
		{"before a long line", "1\n" + message[:9], message[9:] + "\n" + long[:9], long[9:] + "\n", []string{"1", "handle", long}},
		{"in a long line without a handle", long[:len(long)/2], "y", long[len(long)/2:] + "\n" + message + "\n", []string{long[:len(long)/2] + "y" + long[len(long)/2:], "lost"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			noLeaks(t)
			c, p := newPeer(t, Config{})
			pair := newSocketPair(t)
			written := make(chan error, 1)
			go func() {
				p.Write([]byte(test.before))
				p.WriteMsgUnix([]byte(test.with), unix.UnixRights(pair.far), nil)
				_, err := p.Write([]byte(test.after))
				written <- err
			}()
			for _, want := range test.want {
				msg, err := receiveAny(t, c)
				switch want {
				case "lost":
					require.ErrorIs(t, err, ErrHandleLost)
					require.Equal(t, lineNACK, p.line())
				case "handle":
					require.NoError(t, err)
					pair.requireFarEndOf(t, msg)
					require.Equal(t, lineACK, p.line())
				default:
					require.NoError(t, err)
					require.True(t, want == string(msg.Data))
				}
			}
			require.NoError(t, <-written)
			pair.requireFarClosed(t)
			requireHandleArrives(t, c, p)
		})
	}
}

// A descriptor that is no TCP, UDP or Unix stream socket is neither sent nor accepted,
// and is closed.
func TestUnsupportedDescriptorIsRejected(t *testing.T) {
	open := func(path string, mode int) func() (int, error) {
		return func() (int, error) { return unix.Open(path, mode|unix.O_CLOEXEC, 0o600) }
	}
	for name, open := range map[string]func() (int, error){
		"regular file":   open(t.TempDir()+"/file", unix.O_CREAT|unix.O_RDWR),
		"directory":      open(t.TempDir(), unix.O_RDONLY),
		"device":         open("/dev/null", unix.O_RDWR),
		"Unix datagrams": func() (int, error) { return unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0) },
		"pipe": func() (int, error) {
			var fds [2]int
			err := unix.Pipe(fds[:])
			unix.Close(fds[1])
			return fds[0], err
		},
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			c, p := newPeer(t, Config{})
			fd, err := open()
			require.NoError(t, err)
			before := clitest.OpenDescriptors(t)
			require.ErrorIs(t, c.SendHandle(clitest.Context(t), 1, descriptor(fd)), ErrNotAHandle)
			p.pass(handleMessage, fd)
			data, errs := receiveUntilMarker(t, c, p)
			require.Empty(t, data)
			require.Len(t, errs, 1)
			require.ErrorIs(t, errs[0], ErrHandleLost)
			require.Equal(t, lineNACK, p.line())
			require.Equal(t, before, clitest.OpenDescriptors(t))
			unix.Close(fd)
			requireHandleArrives(t, c, p)
		})
	}
}

// The peer may send its own end of the channel. When it has closed that end, the channel
// must still end.
func TestHandleIsTheChannelItself(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{})
	raw, err := p.SyscallConn()
	require.NoError(t, err)
	raw.Control(func(fd uintptr) { p.pass(handleMessage, int(fd)) })
	p.Close()
	require.NoError(t, receive(t, c).Close())
	_, err = receiveAny(t, c)
	require.Equal(t, io.EOF, err)
}

// SO_LINGER, set by the peer, must not delay the close of a socket.
func TestLingeringSocket(t *testing.T) {
	const linger = 3600 // seconds
	for _, test := range []struct{ name, line string }{
		{"without a handle", "1\n"},
		{"with a handle that is not taken", handleMessage},
	} {
		t.Run(test.name, func(t *testing.T) {
			noLeaks(t)
			c, p := newPeer(t, Config{})
			conn := fullConnection(t)
			require.NoError(t, conn.SetLinger(linger))
			raw, err := conn.SyscallConn()
			require.NoError(t, err)
			raw.Control(func(fd uintptr) { p.pass(test.line, int(fd)) })
			msg := receive(t, c)
			conn.Close() // returns at once, because there are other copies

			msg.Close()
			c.Disconnect()
		})
	}
}

// fullConnection returns a connection that accepts no more bytes.
func fullConnection(t *testing.T) *net.TCPConn {
	t.Helper()
	ln := listener(t)
	conn, err := net.Dial("tcp", ln.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	other, err := ln.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { other.Close() })
	conn.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	for err == nil {
		_, err = conn.Write(make([]byte, 1<<20))
	}
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	return conn.(*net.TCPConn)
}

// While this process has no free descriptor, a handle is rejected. The next handle
// arrives.
func TestOutOfDescriptors(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{})
	pair := newSocketPair(t)
	var old unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &old))
	taken, err := unix.Dup(pair.far) // all lower numbers are in use, or will be
	require.NoError(t, err)
	defer unix.Close(taken)
	var fill []int
	defer func() {
		for _, fd := range fill {
			unix.Close(fd)
		}
	}()
	low := old
	low.Cur = uint64(taken) + 10
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &low))
	for {
		fd, err := unix.Dup(pair.far)
		if err != nil {
			break
		}
		fill = append(fill, fd)
	}
	p.pass(handleMessage, pair.far)
	_, err = receiveAny(t, c)
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &old))
	require.ErrorIs(t, err, ErrHandleLost)
	require.Equal(t, lineNACK, p.line())
	p.pass(handleMessage, pair.far)
	pair.requireFarEndOf(t, receive(t, c))
}
