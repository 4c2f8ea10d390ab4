package ipc

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// A Node server that sends its connections must get the number of open connections, and a
// reply when the last is closed.
func TestSocketCounts(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{})
	key := `"4:127.0.0.1:0"`
	for range 2 {
		fd := newSocketPair(t).far
		p.pass(`{"cmd":"NODE_HANDLE","type":"net.Socket","msg":1,"key":`+key+`}`+"\n", fd)
	}
	first, second := receive(t, c), receive(t, c)
	p.write("%s\n", `{"cmd":"NODE_SOCKET_GET_COUNT","key":`+key+`}`)
	p.write("%s\n", `{"cmd":"NODE_SOCKET_NOTIFY_CLOSE","key":`+key+`}`)
	p.write("%s\n", `{"cmd":"NODE_SOCKET_NOTIFY_CLOSE","key":"unknown"}`)
	p.write("0\n")
	receive(t, c)
	conn, err := first.Conn()
	require.NoError(t, err)
	require.IsType(t, &net.UnixConn{}, conn.(interface{ NetConn() net.Conn }).NetConn())
	conn.Close()
	conn.Close()
	second.Close()

	var got []string
	for range 5 {
		got = append(got, p.line())
	}
	want := []string{
		lineACK, lineACK,
		`{"cmd":"NODE_SOCKET_COUNT","key":` + key + `,"count":2}`,
		`{"cmd":"NODE_SOCKET_ALL_CLOSED","key":"unknown"}`,
		`{"cmd":"NODE_SOCKET_ALL_CLOSED","key":` + key + `}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A peer that reads the replies may send a long query.
func TestLongKeyGetsReply(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{})
	go io.Copy(io.Discard, p.UnixConn)
	query := fmt.Sprintf(`{"cmd":"NODE_SOCKET_GET_COUNT","key":"%s"}`, strings.Repeat("k", 300<<10))
	go p.Write([]byte(query + "\n" + marker))
	require.Equal(t, marker, string(receive(t, c).Data)+"\n")
}
