package cluster

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"playing-with-processes/internal/clitest"

	"github.com/stretchr/testify/require"
)

// listenCase is an address, what the worker's listener returns, and what Node reports.
type listenCase struct {
	network, address, want string
	reported               string
	kind                   any
}

var listenCases = []listenCase{
	{"tcp", "127.0.0.1:0", `127\.0\.0\.1:\d+`, "127.0.0.1", 4.},
	{"tcp", "localhost:0", `127\.0\.0\.1:\d+`, "127.0.0.1", 4.},
	{"tcp4", ":0", `0\.0\.0\.0:\d+`, "0.0.0.0", 4.},
	{"tcp6", ":0", `\[::]:\d+`, "::", 6.},
	{"tcp6", "[::1]:0", `\[::1]:\d+`, "::1", 6.},
	{"tcp", ":0", `\[::]:\d+`, "", 4.}, // a Node worker sends 4, too, if it has no host
	{"udp", "127.0.0.1:0", `127\.0\.0\.1:\d+`, "127.0.0.1", "udp4"},
	{"udp4", ":0", `0\.0\.0\.0:\d+`, "0.0.0.0", "udp4"},
	{"udp6", "[::1]:0", `\[::1]:\d+`, "::1", "udp6"},
	{"udp", ":0", `\[::]:\d+`, "::", "udp6"},
}

// All workers must have the same address, answer there, and report it to Node.
func TestUnderNodeListen(t *testing.T) {
	for _, c := range listenCases {
		t.Run(c.network+" "+c.address, func(t *testing.T) {
			if strings.Contains(c.want, `[`) && !hasIPv6() {
				t.Skip("no IPv6 here")
			}
			eachNodePolicy(t, func(t *testing.T, policy Policy) { testUnderNodeListen(t, policy, c) })
		})
	}
}

func testUnderNodeListen(t *testing.T, policy Policy, c listenCase) {
	role := "server"
	if c.network[:3] == "udp" {
		role = "packets"
	}
	h := startNode(t, policy, role, c.network, c.address)
	workers, address := h.startWorkers(1)
	others, same := h.startWorkers(1)
	require.Regexp(t, "^"+c.want+"$", address)
	require.Equal(t, address, same)
	conn := dial(t, c.network, address)
	require.NoError(t, sendRequest(conn))
	answer, err := io.ReadAll(io.LimitReader(conn, 1))
	require.NoError(t, err)
	require.NotEmpty(t, answer)

	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	for _, w := range append(workers, others...) {
		require.Equal(t, c.reported, w.Address)
		require.Equal(t, port, fmt.Sprint(w.Port))
		require.Equal(t, c.kind, w.AddressType)
	}
}

// All workers must have the same Unix socket, and report it to Node.
func TestUnderNodeListenUnix(t *testing.T) {
	eachNodePolicy(t, func(t *testing.T, policy Policy) {
		path := filepath.Join(t.TempDir(), "s")
		h := startNode(t, policy, "server", "unix", path)
		workers, address := h.startWorkers(2)
		require.Equal(t, path, address)
		require.Contains(t, answersOf(workers...), get(t, "unix", path))
		for _, w := range workers {
			require.Equal(t, workerReport{ID: w.ID, PID: w.PID, Address: path, Port: -1, AddressType: -1.}, w)
		}
	})
}

// The second port 0 of each worker must be another port, which the workers share as well.
func TestUnderNodeTwoPorts(t *testing.T) {
	eachNodePolicy(t, func(t *testing.T, policy Policy) {
		h := startNode(t, policy, "server", "tcp", "127.0.0.1:0", "tcp", "127.0.0.1:0")
		workers, first := h.startWorkers(1)
		second := h.addressOf(workers[0])
		others, again := h.startWorkers(1)
		require.Equal(t, first, again)
		require.Equal(t, second, h.addressOf(others[0]))
		require.NotEqual(t, first, second)
		for _, address := range []string{first, second} {
			require.Contains(t, answersOf(workers[0], others[0]), get(t, "tcp", address))
		}
	})
}

// A port that is closed must be free, and may be opened again. The worker's other
// listener goes on.
func TestUnderNodeListenAgain(t *testing.T) {
	eachNodePolicy(t, func(t *testing.T, policy Policy) {
		h := startNode(t, policy, "server", "tcp", "127.0.0.1:0")
		_, control := h.startWorkers(1)
		address := getPath(t, control, "/listen?network=tcp&address=127.0.0.1:0")
		for range 3 {
			getPath(t, address, "/")
			require.Equal(t, "<nil>", getPath(t, control, "/close"))
			clitest.RequireRefused(t, address) // once Node knows
			require.Equal(t, address, getPath(t, control, "/listen?network=tcp&address="+address))
		}
		getPath(t, address, "/")
	})
}

// A worker that starts later must share the port.
func TestUnderNodeLaterWorker(t *testing.T) {
	eachNodePolicy(t, func(t *testing.T, policy Policy) {
		h := startNode(t, policy, "server", "tcp", "127.0.0.1:0")
		first, address := h.startWorkers(1)
		require.Equal(t, answersOf(first[0])[0], get(t, "tcp", address))
		later, _ := h.startWorkers(1)
		h.command("disconnect %d", first[0].ID)
		h.awaitReport("exit", first[0].ID)
		require.Equal(t, answersOf(later[0])[0], get(t, "tcp", address))
	})
}

// A busy port must be the same error as without a cluster, and must be available later.
func TestUnderNodeBusy(t *testing.T) {
	eachNodePolicy(t, func(t *testing.T, policy Policy) {
		h := startNode(t, policy, "server", "tcp", "127.0.0.1:0")
		_, control := h.startWorkers(1)
		path := filepath.Join(t.TempDir(), "s")
		for network, address := range map[string]string{ // ports that the kernel does not give to clients
			"tcp":  fmt.Sprintf("127.0.0.1:%d", freePort(t)),
			"tcp4": fmt.Sprintf(":%d", freePort(t)),
			"tcp6": fmt.Sprintf("[::1]:%d", freePort(t)),
			"unix": path,
		} {
			holder, err := net.Listen(network, address)
			require.NoError(t, err)
			address = holder.Addr().String()
			_, err = net.Listen(network, address)
			require.ErrorIs(t, err, syscall.EADDRINUSE)
			request := "/listen?network=" + network + "&address=" + address
			require.Equal(t, errorText(err), getPath(t, control, request))
			require.NoError(t, holder.Close())
			// A process that another test is starting has the socket until its exec.
			clitest.Eventually(t, func() bool { return getPath(t, control, request) == address })
			require.Equal(t, "<nil>", getPath(t, control, "/close"))
		}
	})
}

// The same must hold for UDP.
func TestUnderNodeBusyPacket(t *testing.T) {
	eachNodePolicy(t, func(t *testing.T, policy Policy) {
		holder, err := net.ListenPacket("udp", "127.0.0.1:0")
		require.NoError(t, err)
		defer holder.Close()
		_, err = net.ListenPacket("udp", holder.LocalAddr().String())
		require.ErrorIs(t, err, syscall.EADDRINUSE)
		h := startNode(t, policy, "packets", "udp", holder.LocalAddr().String())
		h.command("fork")
		require.Equal(t, errorText(err), h.awaitLine(`(.*busy.*)`))
		h.awaitReport("exit", 0)
	})
}

// The error of a wrong address must be that of net.Listen, whichever process finds it.
func TestUnderNodeWrongAddress(t *testing.T) {
	eachNodePolicy(t, func(t *testing.T, policy Policy) {
		h := startNode(t, policy, "server", "tcp", "127.0.0.1:0")
		_, control := h.startWorkers(1)
		for _, wrong := range [][2]string{
			{"tcp", "192.0.2.1:0"}, // an address that no computer has
			{"tcp", "127.0.0.1:65536"},
			{"tcp", "127.0.0.1"},
			{"tcp6", "127.0.0.1:0"},
			{"carrier", "pigeon"},
		} {
			_, err := net.Listen(wrong[0], wrong[1])
			require.Equal(t, errorText(err), getPath(t, control, "/listen?network="+wrong[0]+"&address="+wrong[1]))
		}
	})
}
