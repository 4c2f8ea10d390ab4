package ipc

import (
	"encoding/json"
	"net"
	"strings"
	"syscall"
	"testing"

	"playing-with-processes/internal/clitest"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const clusterLine = `{"cmd":"NODE_CLUSTER","act":"newconn","seq":1}`

// With Config.Cluster, the messages of Node's cluster module must arrive, marked, among all
// others, with a handle and without, and only a ClusterMessage may be one.
func TestCluster(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{Cluster: true})
	theirs := newSocketPair(t).far
	p.write("%s\n", clusterLine)
	p.pass(`{"cmd":"NODE_HANDLE","type":"net.Native","msg":`+clusterLine+"}\n", theirs)
	p.write(`{"cmd":"NODE_CLUSTERS"}` + "\n" + `{"act":"newconn"}` + "\n")
	message := receive(t, c)
	require.Equal(t, clusterLine, string(message.Data))
	require.True(t, message.Cluster)
	message = receive(t, c)
	require.Equal(t, clusterLine, string(message.Data))
	require.True(t, message.Cluster)
	require.Equal(t, lineACK, p.line())
	require.Equal(t, KindConn, message.Kind())
	conn, err := message.Conn()
	require.NoError(t, err)
	require.NoError(t, conn.Close())

	require.Equal(t, NoHandle, message.Kind())
	other := receive(t, c)
	require.Equal(t, `{"act":"newconn"}`, string(other.Data))
	require.False(t, other.Cluster)

	ctx, ours := clitest.Context(t), json.RawMessage(clusterLine)
	require.NoError(t, c.Send(ctx, ClusterMessage{ours}))
	require.Equal(t, clusterLine, p.line())
	for _, reserved := range []any{
		ours, ClusterMessage{json.RawMessage(`{"cmd":"NODE_OTHER"}`)}, json.RawMessage(`{"cmd":"NODE_OTHER"}`), ClusterMessage{1},
		json.RawMessage(`{"act":"\u006eewconn","cmd":"NODE_CLUSTER"}`), json.RawMessage(`{"cmd":"\u004eODE_CLUSTER"}`),
	} {
		require.ErrorIs(t, c.Send(ctx, reserved), ErrReserved)
	}
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

// With Config.Skip, a message that is too long must be skipped, with or without a handle,
// and the others arrive.
func TestSkip(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{Skip: true, MaxLine: 1000})
	pair := newSocketPair(t)
	long := strings.Repeat("x", 1<<20)
	go func() {
		p.Write([]byte("1\n" + long + "\n2\n"))
		p.WriteMsgUnix([]byte(`{"cmd":"NODE_HANDLE","type":"net.Socket","msg":"`), unix.UnixRights(pair.far), nil)
		p.Write([]byte(long + "\"}\n" + "3\n"))
	}()
	require.Equal(t, "1", string(receive(t, c).Data))
	_, err := receiveAny(t, c)
	require.ErrorIs(t, err, ErrSkipped)
	require.Equal(t, "2", string(receive(t, c).Data))
	_, err = receiveAny(t, c)
	require.ErrorIs(t, err, ErrSkipped)
	require.Equal(t, lineNACK, p.line())
	require.Equal(t, "3", string(receive(t, c).Data))
	pair.requireFarClosed(t)
}

// With Config.Skip, messages that do not fit into the inbox must be skipped, but those of the
// cluster module must arrive, and so must the acknowledgement behind them.
func TestSkipInbox(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{Skip: true, Cluster: true, MaxInbox: 1000})
	sent, handle := make(chan error), listener(t)
	go func() { sent <- c.SendHandle(clitest.Context(t), 1, handle) }()
	p.line()
	for range 100 {
		p.write("%s\n", strings.Repeat("1", 100))
	}
	p.write("%s\n%s\n", clusterLine, lineACK)
	require.NoError(t, <-sent)
	arrived, skipped := 0, 0
	for message := (Message{}); !message.Cluster; {
		var err error
		message, err = c.Receive()
		if err != nil {
			require.ErrorIs(t, err, ErrSkipped)
			skipped++
			continue
		}
		arrived++
	}
	require.Less(t, arrived, 20)
	require.Equal(t, 1, skipped)
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
	cluster := ClusterMessage{json.RawMessage(clusterLine)}
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
