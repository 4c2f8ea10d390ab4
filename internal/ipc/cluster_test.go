package ipc

import (
	"encoding/json"
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"

	"playing-with-processes/internal/clitest"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const clusterLine = `{"cmd":"NODE_CLUSTER","act":"newconn","seq":1}`

// With Config.Cluster, the messages of Node's cluster module are sent and received like
// all others, with a handle and without.
func TestCluster(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{Cluster: true})
	theirs := newSocketPair(t).far
	p.write("%s\n", clusterLine)
	p.pass(`{"cmd":"NODE_HANDLE","type":"net.Native","msg":`+clusterLine+"}\n", theirs)
	require.Equal(t, clusterLine, string(receive(t, c).Data))
	message := receive(t, c)
	require.Equal(t, clusterLine, string(message.Data))
	require.Equal(t, lineACK, p.line())
	conn, err := message.Conn()
	require.NoError(t, err)
	require.NoError(t, conn.Close())

	require.NoError(t, c.Send(clitest.Context(t), json.RawMessage(clusterLine)))
	require.Equal(t, clusterLine, p.line())
	require.ErrorIs(t, c.Send(clitest.Context(t), json.RawMessage(`{"cmd":"NODE_OTHER"}`)), ErrReserved)
}

// A message of the cluster module whose handle is lost must arrive all the same, and say why
// there is no handle: its sender waits for a reply.
func TestClusterMessageWithoutItsHandle(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{Cluster: true})
	p.write(`{"cmd":"NODE_HANDLE","type":"net.Native","msg":` + clusterLine + "}\n")
	message := receive(t, c)
	require.Equal(t, clusterLine, string(message.Data))
	require.Equal(t, lineACK, p.line())
	_, err := message.Conn()
	require.ErrorIs(t, err, ErrHandleLost)
	_, err = message.Listener()
	require.ErrorIs(t, err, ErrHandleLost)
	require.NoError(t, message.Close())
}

// With Config.OnlyCluster, all other messages must be skipped, however long they are, and their
// handles closed.
func TestOnlyCluster(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{Cluster: true, OnlyCluster: true, MaxLine: 1000})
	pair := newSocketPair(t)
	go func() {
		p.Write([]byte("1\n" + strings.Repeat("x", 1<<20) + "\n" + "\x02" + strings.Repeat("y", 100) + "\n"))
		p.WriteMsgUnix([]byte(handleMessage), unix.UnixRights(pair.far), nil)
		p.Write([]byte(clusterLine + "\n"))
	}()
	for i := range 4 {
		_, err := receiveAny(t, c)
		require.ErrorIs(t, err, ErrSkipped)
		notJSON, is := errors.AsType[*NotJSONError](err)
		require.Equal(t, i == 2, is)
		if is {
			require.Equal(t, "\x02"+strings.Repeat("y", 31), string(notJSON.Begin))
		}
	}
	require.Equal(t, clusterLine, string(receive(t, c).Data))
	require.Equal(t, lineACK, p.line())
	pair.requireFarClosed(t)
}

// Without Config.Cluster, these messages are ignored, as in a Node process without a
// cluster.
func TestClusterMessagesAreIgnoredByDefault(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{})
	theirs := newSocketPair(t).far
	p.write("%s\n", clusterLine)
	p.pass(`{"cmd":"NODE_HANDLE","type":"net.Native","msg":`+clusterLine+"}\n", theirs)
	p.write("1\n")
	require.Equal(t, "1", string(receive(t, c).Data))
	require.Equal(t, lineACK, p.line())
	require.ErrorIs(t, c.Send(clitest.Context(t), json.RawMessage(clusterLine)), ErrReserved)
}

// With a cluster message, a socket is named net.Native or dgram.Native, which Node's
// receiver leaves unwrapped.
func TestClusterNativeHandles(t *testing.T) {
	packets, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer packets.Close()
	c, p := newPeer(t, Config{Cluster: true})
	send := func(v any, h syscall.Conn) (line string) {
		sent := make(chan error, 1)
		go func() { sent <- c.SendHandle(clitest.Context(t), v, h) }()
		line = p.line()
		p.write("%s\n", lineACK)
		require.NoError(t, <-sent)
		return line
	}
	cluster := json.RawMessage(clusterLine)
	require.Equal(t, `{"cmd":"NODE_HANDLE","type":"net.Native","msg":`+clusterLine+`}`, send(cluster, listener(t)))
	require.Equal(t, `{"cmd":"NODE_HANDLE","type":"dgram.Native","msg":`+clusterLine+`}`, send(cluster, packets))
	require.Equal(t, `{"cmd":"NODE_HANDLE","type":"dgram.Socket","msg":1,"dgramType":"udp4"}`, send(1, packets))
}

// A cluster message is recognized however its JSON is spelled.
func TestClusterSpelling(t *testing.T) {
	c, p := newPeer(t, Config{Cluster: true})
	for _, line := range []string{
		`{"act":"online","cmd":"NODE_CLUSTER"}`,
		`{"cmd":"NODE_CLUSTER","act":"online","cmd":"NODE_CLUSTER"}`,
		`{"cmd":"\u004eODE_CLUSTER"}`,
		`{ "cmd" : "NODE_CLUSTER" }`,
	} {
		p.write("%s\n", line)
		require.Equal(t, line, string(receive(t, c).Data))
	}
	// The last of duplicate keys wins.
	p.write("%s\n", `{"cmd":"NODE_CLUSTER","cmd":"NODE_OTHER"}`)
	p.write("%s\n", `{"cmd":"NODE_CLUSTER","\u0063md":"NODE_OTHER"}`)
	p.write("1\n")
	require.Equal(t, "1", string(receive(t, c).Data))
}
