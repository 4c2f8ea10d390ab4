package cluster

import (
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"playing-with-processes/internal/clitest"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// Under our primary, Node's servers must listen and fail as under Node's own, and the
// primary must report the same.
func TestNodeSameServers(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { busy.Close() })
	busyPort := busy.Addr().(*net.TCPAddr).Port
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))

	requireSame(t, 2, func(t *testing.T) (words []string, observe observer) {
		dir := t.TempDir()
		options := []map[string]any{
			{"port": 0},
			{"port": 0}, // another port
			{"port": 0, "host": "127.0.0.1"},
			{"port": 0, "host": "0.0.0.0", "backlog": 1},
			{"port": 0, "host": "localhost"},
			{"port": freePort(t)},
			{"port": freePort(t), "host": "127.0.0.1"},
			{"path": filepath.Join(dir, "socket")},
			{"port": busyPort, "host": "127.0.0.1"},
			{"port": busyPort},
			{"port": 0, "host": "192.0.2.1"}, // an address for documentation, which no computer has
			{"path": filepath.Join(dir, "missing", "socket")},
			{"path": file},
			{"port": 0, "host": "127.0.0.1", "exclusive": true},
			{"port": freePort(t), "host": "127.0.0.1", "exclusive": true},
		}
		if hasIPv6() {
			options = append(options, []map[string]any{
				{"port": 0, "host": "::1"},
				{"port": 0, "host": "::"},
				{"port": 0, "host": "::", "ipv6Only": true},
			}...)
		}
		return script("listen.js", options), observeServers(2*len(options), 3)
	})
}

// The same must hold for UDP.
func TestNodeSameSockets(t *testing.T) {
	busy, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { busy.Close() })
	busyPort := busy.LocalAddr().(*net.UDPAddr).Port

	requireSame(t, 2, func(t *testing.T) (words []string, observe observer) {
		options := []map[string]any{
			{"type": "udp4"},
			{"type": "udp4", "port": 0, "address": "127.0.0.1"},
			{"type": "udp4", "port": 0, "address": "127.0.0.1"},
			{"type": "udp4", "port": 0, "address": "localhost"},
			{"type": "udp4", "port": freePort(t), "address": "127.0.0.1"},
			{"type": "udp4", "port": busyPort, "address": "127.0.0.1"},
			{"type": "udp4", "port": 0, "address": "192.0.2.1"},
			{"type": "udp4", "port": 0, "address": "127.0.0.1", "exclusive": true},
		}
		if hasIPv6() {
			options = append(options, []map[string]any{
				{"type": "udp6"},
				{"type": "udp6", "port": 0, "address": "::1"},
			}...)
		}
		return script("udp.js", options), observeServers(2*len(options), 2)
	})
}

// Workers that are asked to leave must do so, and their Unix socket must be removed.
func TestNodeSameLeave(t *testing.T) {
	requireSame(t, 2, func(t *testing.T) (words []string, observe observer) {
		path := filepath.Join(t.TempDir(), "socket")
		words = script("listen.js", []map[string]any{{"path": path}, {"port": 0}})
		return words, func(c *nodeCluster) (observed []string) {
			observed = observeServers(4, 0)(c)
			c.leave()
			for range 2 {
				e := await(c.harness, func(Exit) bool { return true })
				observed = append(observed, fmt.Sprint(e.Exit, " ", e.AfterDisconnect))
			}
			require.NoFileExists(c.t, path)
			return observed
		}
	})
}

// A port that a server wants for itself must not be asked for, and no other worker gets
// it.
func TestNodeExclusive(t *testing.T) {
	eachNodePolicy(t, func(t *testing.T, policy Policy) {
		h, trace := startTraced(t, Settings{Policy: policy}, script("listen.js", []map[string]any{
			{"port": freePort(t), "host": "127.0.0.1", "exclusive": true},
		})...)
		for range 2 {
			_, err := h.Fork()
			require.NoError(t, err)
		}
		h.awaitLine(`0 address .*`)
		h.awaitLine(`0 error .*EADDRINUSE.*`)
		shutdownNow(h)
		require.NotContains(t, trace(), actQuery)
	})
}

// startRetrying starts a worker that tries to listen on a busy port until it is free.
func startRetrying(t *testing.T, policy Policy) (h *harness, w *Worker, busy net.Listener) {
	t.Helper()
	port := strconv.Itoa(freePort(t))
	busy, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
	require.NoError(t, err)
	t.Cleanup(func() { busy.Close() })
	h = startNodeWorkers(t, Settings{Policy: policy}, "testdata/retry.js", "127.0.0.1", port)
	w, err = h.Fork()
	require.NoError(t, err)
	return h, w, busy
}

// A busy port must be available once it is free.
func TestNodeRetry(t *testing.T) {
	eachNodePolicy(t, func(t *testing.T, policy Policy) {
		h, w, busy := startRetrying(t, policy)
		require.Equal(t, "EADDRINUSE", h.awaitLine("error (.*)"))
		h.awaitLine("error .*") // once more: the failure is not remembered, either
		require.NoError(t, busy.Close())
		require.Equal(t, busy.Addr().String(), h.listeningOf(w))
		answer, err := io.ReadAll(dial(t, "tcp", busy.Addr().String()))
		require.NoError(t, err)
		require.Equal(t, w.String(), string(answer))
	})
}

// Unix sockets in a directory with a long name, and those with abstract names, must be as under
// Node's primary.
func TestNodeSameUnixNames(t *testing.T) {
	clitest.NeedNode(t)
	testdata, err := filepath.Abs("testdata")
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 60), strings.Repeat("e", 60))
	require.NoError(t, os.MkdirAll(dir, 0o755))
	require.NoError(t, os.Symlink(testdata, filepath.Join(dir, "testdata")))
	t.Chdir(dir)
	words := script("listen.js", []map[string]any{{"path": "./socket"}, {"path": fmt.Sprint("\x00playing.", os.Getpid())}})
	for _, policy := range nodePolicies {
		t.Run(string(policy), func(t *testing.T) {
			theirs := startNodeCluster(t, policy, 1, words...)
			want := observeServers(2, 0)(theirs)
			theirs.stop()
			os.Remove("socket")
			own := startOwnCluster(t, policy, 1, words...)
			require.Empty(t, cmp.Diff(want, observeServers(2, 0)(own)))
			own.stop()
			require.NoFileExists(t, "socket")
		})
	}
}

// The port of a server that is closed must be free, and the worker may open it again.
func TestNodeClose(t *testing.T) {
	eachNodePolicy(t, func(t *testing.T, policy Policy) {
		port := strconv.Itoa(freePort(t))
		address := net.JoinHostPort("127.0.0.1", port)
		h := startNodeWorkers(t, Settings{Policy: policy}, "testdata/toggle.js", "127.0.0.1", port)
		workers, _ := h.fork(1)
		h.awaitLine("open")
		for range 2 {
			workers[0].Signal(syscall.SIGUSR2)
			h.awaitLine("closed")
			clitest.RequirePortFree(t, address)
			workers[0].Signal(syscall.SIGUSR2)
			h.listeningOf(workers[0])
			require.Equal(t, workers[0].String(), get(t, "tcp", address))
			h.awaitLine("open")
		}
	})
}

// If one worker closes a server, the port must stay open for the other.
func TestNodeCloseOne(t *testing.T) {
	eachNodePolicy(t, func(t *testing.T, policy Policy) {
		port := strconv.Itoa(freePort(t))
		h := startNodeWorkers(t, Settings{Policy: policy}, "testdata/toggle.js", "127.0.0.1", port)
		workers, address := h.fork(2)
		h.awaitLine("open")
		h.awaitLine("open")
		workers[0].Signal(syscall.SIGUSR2)
		h.awaitLine("closed")
		for range 10 {
			require.Equal(t, workers[1].String(), get(t, "tcp", address))
		}
		workers[0].Signal(syscall.SIGUSR2)
		h.listeningOf(workers[0])
		workers[1].Signal(syscall.SIGUSR2)
		h.awaitLine("closed")
		require.Equal(t, workers[0].String(), get(t, "tcp", address))
	})
}

// A Unix socket must be open to other users if the server says so. Under its own primary,
// Node forgets that with SCHED_NONE.
func TestNodeSocketMode(t *testing.T) {
	eachNodePolicy(t, func(t *testing.T, policy Policy) {
		dir := t.TempDir()
		modes := []struct {
			path  string
			which map[string]any
			more  fs.FileMode
		}{
			{"ours", map[string]any{}, 0},
			{"readable", map[string]any{"readableAll": true}, 0o444},
			{"writable", map[string]any{"writableAll": true}, 0o222},
		}
		var options []map[string]any
		for _, m := range modes {
			m.which["path"] = filepath.Join(dir, m.path)
			options = append(options, m.which)
		}
		h := startNodeWorkers(t, Settings{Policy: policy}, script("listen.js", options)...)
		workers, _ := h.fork(1)
		for range modes[1:] {
			h.listeningOf(workers[0])
		}
		plain, err := os.Stat(filepath.Join(dir, modes[0].path)) // with the umask
		require.NoError(t, err)
		for i, m := range modes {
			path := filepath.Join(dir, m.path)
			info, err := os.Stat(path)
			require.NoError(t, err)
			require.Equal(t, plain.Mode()|m.more, info.Mode(), m.path)
			require.Equal(t, fmt.Sprintf("server %d", i), get(t, "unix", path))
		}
		require.NoError(t, h.Shutdown(t.Context()))
		left, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Empty(t, left)
	})
}
