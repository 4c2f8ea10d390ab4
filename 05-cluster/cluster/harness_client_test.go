package cluster

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"playing-with-processes/internal/clitest"
	"playing-with-processes/internal/demo"
)

// dial connects. The connection is closed at the end of the test.
func dial(t *testing.T, network, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial(network, address)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(clitest.Deadline(t))
	return conn
}

// sendRequest makes one request on a connection.
func sendRequest(conn net.Conn) error {
	_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	return err
}

// get makes a request on a connection of its own, and returns the body of the answer.
func get(t *testing.T, network, address string) string {
	t.Helper()
	conn := dial(t, network, address)
	defer conn.Close()
	require.NoError(t, sendRequest(conn))
	return body(t, conn)
}

// body reads an answer, and returns its body.
func body(t *testing.T, conn net.Conn) string {
	t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(text)
}

// getPath makes a request for a path on a connection of its own, and returns the body.
func getPath(t *testing.T, address, path string) string {
	t.Helper()
	response, err := demo.Request(dial(t, "tcp", address), path)
	require.NoError(t, err)
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return strings.TrimSpace(string(text))
}

// readable reports whether a connection has something to read, and leaves it there.
func readable(conn net.Conn) (is bool) {
	raw, _ := conn.(*net.TCPConn).SyscallConn()
	raw.Control(func(fd uintptr) {
		n, _, _ := unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
		is = n > 0
	})
	return is
}

// requireReset requires that a new connection is reset. A slow client gets the error
// already from connect(2), and others from the first read.
func requireReset(t *testing.T, address string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err == nil {
		defer conn.Close()
		conn.SetDeadline(clitest.Deadline(t))
		_, err = conn.Read(make([]byte, 1))
	}
	require.ErrorIs(t, err, syscall.ECONNRESET)
}
