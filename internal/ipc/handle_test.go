package ipc

import (
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestSendHandle(t *testing.T) {
	noLeaks(t)
	c, p := pair(t, Config{})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	sent := make(chan error, 1)
	go func() { sent <- c.SendHandle(testContext(t), "server", ln.(*net.TCPListener)) }()
	require.Equal(t, `{"cmd":"NODE_HANDLE","type":"net.Server","msg":"server"}`, p.line())
	require.Len(t, p.arrived, 1)
	p.write("%s\n", `{"cmd":"NODE_HANDLE_ACK"}`)
	require.NoError(t, <-sent)
	kind, _, err := kindOf(p.arrived[0])
	require.NoError(t, err)
	require.Equal(t, kindServer, kind)
}

func TestReceiveHandle(t *testing.T) {
	noLeaks(t)
	c, p := pair(t, Config{})
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	require.NoError(t, err)
	p.pass(`{"cmd":"NODE_HANDLE","type":"net.Socket","msg":{"a":1}}`+"\n", fds[1])
	unix.Close(fds[1])
	msg := receive(t, c)
	require.Equal(t, `{"a":1}`, string(msg.Data))
	conn, err := msg.Conn()
	require.NoError(t, err)
	require.Equal(t, `{"cmd":"NODE_HANDLE_ACK"}`, p.line())
	unix.Write(fds[0], []byte("hello"))
	unix.Close(fds[0])
	all, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Equal(t, "hello", string(all))
	require.NoError(t, conn.Close())
}
