package cluster

import (
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
)

// withoutPrimary is what describe returns for a process that no primary has forked.
const withoutPrimary = `primary true, leaving false, leave: <nil>, listen: <nil>, "" ""` + "\n"

// A process that no primary has forked must be a primary.
func TestWithoutPrimary(t *testing.T) {
	t.Parallel()
	require.Equal(t, withoutPrimary, describe())
}

// Without a primary the functions must be those of net and net/http.
func TestWithoutPrimaryListen(t *testing.T) {
	t.Parallel()
	l, err := Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.IsType(t, &net.TCPListener{}, l)
	_, want := net.Listen("tcp", l.Addr().String())
	_, err = Listen("tcp", l.Addr().String())
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	require.Equal(t, want, err)
	served := make(chan error)
	go func() { served <- Serve(l, newWorkerServer()) }()
	require.Equal(t, fmt.Sprintf("worker %d", os.Getpid()), getPath(t, l.Addr().String(), "/"))
	require.NoError(t, l.Close())
	require.ErrorIs(t, <-served, net.ErrClosed)
}

// Without a primary ListenPacket must be net.ListenPacket.
func TestWithoutPrimaryListenPacket(t *testing.T) {
	t.Parallel()
	conn, err := ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	defer conn.Close()
	require.IsType(t, &net.UDPConn{}, conn)
}

// A process with the number of a worker, but without a channel, must be neither a worker
// nor a primary.
func TestUniqueIDWithoutChannel(t *testing.T) {
	t.Parallel()
	cmd := clitest.Command(t, clitest.Self(t), "describe")
	cmd.Env = append(cmd.Env, "NODE_UNIQUE_ID=1")
	got := clitest.Finish(t, cmd)
	const why = `[^,]*NODE_CHANNEL_FD[^,]*`
	require.Regexp(t, `^primary false, leaving false, leave: `+why+`, listen: `+why+`, "1" ""\n$`, got.Stdout)
	require.Empty(t, got.Stderr)
}

// A worker's child must not be a worker, though it inherits the worker's environment.
func TestUnderNodeGrandchild(t *testing.T) {
	eachNodePolicy(t, func(t *testing.T, policy Policy) {
		h := startNode(t, policy, "server", "tcp", "127.0.0.1:0")
		_, address := h.startWorkers(1)
		require.Equal(t, withoutPrimary+"<nil>", getPath(t, address, "/child"))
	})
}
