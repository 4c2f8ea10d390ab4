package cluster

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
)

// A Node server must be served wherever it listens, even if it is one of several in a
// worker.
func TestNodeServed(t *testing.T) {
	eachNodePolicy(t, func(t *testing.T, policy Policy) {
		path := filepath.Join(t.TempDir(), "socket")
		where := []struct {
			options map[string]any
			address string // or that of the port 0
		}{
			{map[string]any{"path": path}, path},
			{map[string]any{"port": 0}, ""},
			{map[string]any{"port": 0}, ""},
			{map[string]any{"port": 0, "host": "127.0.0.1"}, ""},
		}
		var options []map[string]any
		for _, w := range where {
			options = append(options, w.options)
		}
		h := startNodeWorkers(t, Settings{Policy: policy}, script("listen.js", options)...)
		_, err := h.Fork()
		require.NoError(t, err)
		for i, w := range where {
			printed := h.awaitLine(fmt.Sprintf(`%d address (.*)`, i))
			network, address := "unix", w.address
			if address == "" {
				network, address = "tcp", net.JoinHostPort("127.0.0.1", portOf(t, printed))
			}
			require.Equal(t, fmt.Sprintf("server %d", i), get(t, network, address))
		}
	})
}

// A TLS session must go on in another worker, even after the end of the worker where it
// began: Node's servers share their ticket keys through the primary.
func TestNodeTickets(t *testing.T) {
	cert, key, roots := certificate(t)
	eachNodePolicy(t, func(t *testing.T, policy Policy) {
		h := startNodeWorkers(t, Settings{Policy: policy}, "testdata/https.js", cert, key)
		workers, address := h.fork(3)
		client := &tls.Config{
			RootCAs:            roots,
			MaxVersion:         tls.VersionTLS12,
			ClientSessionCache: tls.NewLRUClientSessionCache(1),
		}
		request := func(resumed bool) (answer string) {
			conn, err := tls.Dial("tcp", address, client)
			require.NoError(t, err)
			defer conn.Close()
			require.Equal(t, resumed, conn.ConnectionState().DidResume)
			require.NoError(t, sendRequest(conn))
			return body(t, conn)
		}
		first := request(false)
		answered := map[string]bool{}
		for range 12 {
			answered[request(true)] = true
		}
		if policy == RoundRobin { // otherwise one worker may get all
			require.Len(t, answered, len(workers))
		}
		i := slices.IndexFunc(workers, func(w *Worker) bool { return w.String() == first })
		workers[i].Signal(syscall.SIGKILL)
		h.exitOf(workers[i])
		require.NotEqual(t, first, request(true))
	})
}

// certificate writes a certificate for loopback, and its key.
func certificate(t *testing.T) (cert, key string, roots *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	require.NoError(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	write := func(name, kind string, bytes []byte) (path string) {
		path = filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}), 0o600))
		return path
	}
	parsed, err := x509.ParseCertificate(signed)
	require.NoError(t, err)
	roots = x509.NewCertPool()
	roots.AddCert(parsed)
	return write("cert.pem", "CERTIFICATE", signed), write("key.pem", "PRIVATE KEY", secret), roots
}

// UDP packets must be answered.
func TestNodePackets(t *testing.T) {
	eachNodePolicy(t, func(t *testing.T, policy Policy) {
		options := []map[string]any{
			{"type": "udp4", "port": 0, "address": "127.0.0.1"},
			{"type": "udp4", "port": 0, "address": "127.0.0.1"},
		}
		if hasIPv6() {
			options = append(options, map[string]any{"type": "udp6", "port": 0, "address": "::1"})
		}
		h := startNodeWorkers(t, Settings{Policy: policy}, script("udp.js", options)...)
		w, err := h.Fork()
		require.NoError(t, err)
		for range options {
			conn := dial(t, "udp", h.listeningOf(w))
			_, err := conn.Write([]byte("hello"))
			require.NoError(t, err)
			packet := make([]byte, 100)
			n, err := conn.Read(packet)
			require.NoError(t, err)
			require.Equal(t, fmt.Sprintf("hello at %d", w.Pid()), string(packet[:n]))
		}
	})
}

// A worker without room must leave a connection to the other worker, under every policy in
// which the primary accepts. If both are full, the connection must wait, and the workers are
// asked again now and then.
func TestNodeFull(t *testing.T) {
	t.Parallel()
	clitest.NeedNode(t)
	for _, policy := range []Policy{RoundRobin, Sticky} {
		for _, network := range []string{"tcp", "unix"} {
			t.Run(fmt.Sprintf("%s over %s", policy, network), func(t *testing.T) {
				t.Parallel()
				words := []string{"testdata/full.js", "1"}
				if network == "unix" {
					words = append(words, filepath.Join(t.TempDir(), "socket"))
				}
				h, _ := startTraced(t, Settings{Policy: policy}, words...)
				requirePassedOn(t, h, network)
			})
		}
	}
}

// requirePassedOn makes requests of two workers that have room for one connection each.
func requirePassedOn(t *testing.T, h *harness, network string) {
	t.Helper()
	workers, address := h.fork(2)
	first, a := dialGreeting(t, network, address)
	_, b := dialGreeting(t, network, address)
	require.ElementsMatch(t, []string{workers[0].String(), workers[1].String()}, []string{a, b})

	waiting := dial(t, network, address)
	begun := time.Now()
	const times = 5
	for range times * len(workers) {
		h.awaitLine(`receive .*"accepted":false.*`)
	}
	require.GreaterOrEqual(t, time.Since(begun), (times-2)*refusedPause) // a worker is asked at once

	require.NoError(t, first.Close())
	require.Equal(t, a, readGreeting(t, waiting))
	require.NoError(t, waiting.Close())
	_, again := dialGreeting(t, network, address)
	require.Equal(t, a, again)
}

// dialGreeting connects to full.js, and returns its greeting.
func dialGreeting(t *testing.T, network, address string) (conn net.Conn, greeting string) {
	t.Helper()
	conn = dial(t, network, address)
	return conn, readGreeting(t, conn)
}

func readGreeting(t *testing.T, conn net.Conn) string {
	t.Helper()
	line, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(line)
}

// A worker may send its primary messages of any length, which do not concern the cluster.
func TestNodeSendsLongMessages(t *testing.T) {
	eachNodePolicy(t, func(t *testing.T, policy Policy) {
		h := startNodeWorkers(t, Settings{Policy: policy}, "testdata/sends.js")
		workers, address := h.fork(1)
		for range 5 {
			require.Equal(t, workers[0].String(), get(t, "tcp", address))
		}
		require.Empty(t, received[Exit](h))
	})
}
