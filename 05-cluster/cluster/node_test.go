package cluster

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"playing-with-processes/internal/clitest"
	"playing-with-processes/internal/ipc"
	"playing-with-processes/internal/restart"
)

// What Node's servers and who looks on see under our primary is what they see under Node's
// own, line by line.
func TestNodeSameServers(t *testing.T) {
	held, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { held.Close() })
	occupied := held.Addr().(*net.TCPAddr).Port
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))

	same(t, 2, func(t *testing.T) (words []string, see func(*stage) []string) {
		dir := t.TempDir()
		options := []map[string]any{
			{"port": 0},
			{"port": 0}, // another one
			{"port": 0, "nodePrimary": "127.0.0.1"},
			{"port": 0, "nodePrimary": "0.0.0.0", "backlog": 1},
			{"port": 0, "nodePrimary": "localhost"},
			{"port": freePort(t)},
			{"port": freePort(t), "nodePrimary": "127.0.0.1"},
			{"path": filepath.Join(dir, "socket")},
			{"port": occupied, "nodePrimary": "127.0.0.1"},
			{"port": occupied},
			{"port": 0, "nodePrimary": "192.0.2.1"}, // nobody's: it is for documentation
			{"path": filepath.Join(dir, "missing", "socket")},
			{"path": file},
			{"port": 0, "nodePrimary": "127.0.0.1", "exclusive": true},
			{"port": freePort(t), "nodePrimary": "127.0.0.1", "exclusive": true},
		}
		if hasIPv6() {
			options = append(options, []map[string]any{
				{"port": 0, "nodePrimary": "::1"},
				{"port": 0, "nodePrimary": "::"},
				{"port": 0, "nodePrimary": "::", "ipv6Only": true},
			}...)
		}
		return script("listen.js", options), seeServers(2*len(options), 3)
	})
}

// The same with UDP.
func TestNodeSameSockets(t *testing.T) {
	held, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { held.Close() })
	occupied := held.LocalAddr().(*net.UDPAddr).Port

	same(t, 2, func(t *testing.T) (words []string, see func(*stage) []string) {
		options := []map[string]any{
			{"type": "udp4"},
			{"type": "udp4", "port": 0, "address": "127.0.0.1"},
			{"type": "udp4", "port": 0, "address": "127.0.0.1"},
			{"type": "udp4", "port": 0, "address": "localhost"},
			{"type": "udp4", "port": freePort(t), "address": "127.0.0.1"},
			{"type": "udp4", "port": occupied, "address": "127.0.0.1"},
			{"type": "udp4", "port": 0, "address": "192.0.2.1"},
			{"type": "udp4", "port": 0, "address": "127.0.0.1", "exclusive": true},
		}
		if hasIPv6() {
			options = append(options, []map[string]any{
				{"type": "udp6"},
				{"type": "udp6", "port": 0, "address": "::1"},
			}...)
		}
		return script("udp.js", options), seeServers(2*len(options), 2)
	})
}

// The workers that are asked to leave do so, and a Unix socket goes with them.
func TestNodeSameLeave(t *testing.T) {
	same(t, 2, func(t *testing.T) (words []string, see func(*stage) []string) {
		path := filepath.Join(t.TempDir(), "socket")
		return script("listen.js", []map[string]any{{"path": path}, {"port": 0}}), func(s *stage) (seen []string) {
			seen = seeServers(4, 0)(s)
			s.leave()
			for range 2 {
				e := await(s.harness, func(Exit) bool { return true })
				seen = append(seen, fmt.Sprint(e.Exit, " ", e.AfterDisconnect))
			}
			require.NoFileExists(s.t, path)
			return seen
		}
	})
}

// Wherever a Node server listens, it is served, also if it is one of several in a worker.
func TestNodeServed(t *testing.T) {
	underEach(t, func(t *testing.T, p Policy) {
		path := filepath.Join(t.TempDir(), "socket")
		where := []struct {
			options map[string]any
			address string // or that of the port 0
		}{
			{map[string]any{"path": path}, path},
			{map[string]any{"port": 0}, ""},
			{map[string]any{"port": 0}, ""},
			{map[string]any{"port": 0, "nodePrimary": "127.0.0.1"}, ""},
		}
		var options []map[string]any
		for _, w := range where {
			options = append(options, w.options)
		}
		r := startNodeWorkers(t, Settings{Policy: p}, script("listen.js", options)...)
		_, err := r.Fork()
		require.NoError(t, err)
		for i, w := range where {
			said := r.awaitLine(fmt.Sprintf(`%d address (.*)`, i))
			network, address := "unix", w.address
			if address == "" {
				network, address = "tcp", net.JoinHostPort("127.0.0.1", portOf(t, said))
			}
			require.Equal(t, fmt.Sprintf("server %d", i), get(t, network, address))
		}
	})
}

// A TLS session goes on in another worker, since Node's servers share their ticket keys
// through the primary, and even after the worker in which it began.
func TestNodeTickets(t *testing.T) {
	cert, key, roots := certificate(t)
	underEach(t, func(t *testing.T, p Policy) {
		r := startNodeWorkers(t, Settings{Policy: p}, "testdata/https.js", cert, key)
		workers, address := r.fork(3)
		client := &tls.Config{
			RootCAs:            roots,
			MaxVersion:         tls.VersionTLS12,
			ClientSessionCache: tls.NewLRUClientSessionCache(1),
		}
		visit := func(resumed bool) (who string) {
			conn, err := tls.Dial("tcp", address, client)
			require.NoError(t, err)
			defer conn.Close()
			require.Equal(t, resumed, conn.ConnectionState().DidResume)
			require.NoError(t, askFor(conn))
			return body(t, conn)
		}
		first := visit(false)
		answered := map[string]bool{}
		for range 12 {
			answered[visit(true)] = true
		}
		if p == RoundRobin { // else it may be one for all
			require.Len(t, answered, len(workers))
		}
		i := slices.IndexFunc(workers, func(w *Worker) bool { return name(w) == first })
		workers[i].Signal(syscall.SIGKILL)
		r.exitOf(workers[i])
		require.NotEqual(t, first, visit(true))
	})
}

// UDP packets are answered.
func TestNodePackets(t *testing.T) {
	underEach(t, func(t *testing.T, p Policy) {
		options := []map[string]any{
			{"type": "udp4", "port": 0, "address": "127.0.0.1"},
			{"type": "udp4", "port": 0, "address": "127.0.0.1"},
		}
		if hasIPv6() {
			options = append(options, map[string]any{"type": "udp6", "port": 0, "address": "::1"})
		}
		r := startNodeWorkers(t, Settings{Policy: p}, script("udp.js", options)...)
		w, err := r.Fork()
		require.NoError(t, err)
		for range options {
			conn := dial(t, "udp", r.listeningOf(w))
			_, err := conn.Write([]byte("hello"))
			require.NoError(t, err)
			packet := make([]byte, 100)
			n, err := conn.Read(packet)
			require.NoError(t, err)
			require.Equal(t, fmt.Sprintf("hello at %d", w.Pid()), string(packet[:n]))
		}
	})
}

// What a server wants for itself alone is not asked for, and nobody else gets it.
func TestNodeExclusive(t *testing.T) {
	underEach(t, func(t *testing.T, p Policy) {
		r, told := startTraced(t, Settings{Policy: p}, script("listen.js", []map[string]any{
			{"port": freePort(t), "nodePrimary": "127.0.0.1", "exclusive": true},
		})...)
		for range 2 {
			_, err := r.Fork()
			require.NoError(t, err)
		}
		r.awaitLine(`0 address .*`)
		r.awaitLine(`0 error .*EADDRINUSE.*`)
		stopNow(r)
		require.NotContains(t, told(), actQuery)
	})
}

// A port that was somebody else's can be had once it is free.
func TestNodeRetry(t *testing.T) {
	underEach(t, func(t *testing.T, p Policy) {
		port := strconv.Itoa(freePort(t))
		held, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
		require.NoError(t, err)
		defer held.Close()
		r := startNodeWorkers(t, Settings{Policy: p}, "testdata/retry.js", "127.0.0.1", port)
		w, err := r.Fork()
		require.NoError(t, err)
		require.Equal(t, "EADDRINUSE", r.awaitLine("error (.*)"))
		r.awaitLine("error .*") // another one: that it has failed is not remembered, either
		require.NoError(t, held.Close())
		require.Equal(t, held.Addr().String(), r.listeningOf(w))
		said, err := io.ReadAll(dial(t, "tcp", held.Addr().String()))
		require.NoError(t, err)
		require.Equal(t, name(w), string(said))
	})
}

// nodeEnds are the ways in which ends.js can end, and what a primary tells of it.
var nodeEnds = []struct {
	how    string
	code   int
	after  bool // it is announced
	reason restart.Reason
	why    string
}{
	{"/disconnect", 0, true, restart.Exited, ""},
	{"/kill", 0, true, restart.Exited, ""},
	{"/channel", 0, false, restart.Exited, ""},
	{"/exit/0", 0, false, restart.Exited, ""},
	{"/exit/3", 3, false, restart.Crashed, ""},
	{"/crash", 1, false, restart.Crashed, "TypeError: all is lost"},
}

// However a worker ends, somebody takes its place, and listens again.
func TestNodeEnds(t *testing.T) {
	underEach(t, func(t *testing.T, p Policy) {
		r := ours(t, p, 1, "testdata/ends.js")
		for _, end := range nodeEnds {
			e := r.end(end.how)
			require.Equal(t, ipc.Exit{Code: end.code}, e.Exit, end.how)
			require.Equal(t, end.after, e.AfterDisconnect, end.how)
			require.Equal(t, end.reason, e.Reason, end.how)
			require.Equal(t, end.why, e.Why, end.how)
			if end.why == "" {
				requireSilent(t, e.Worker)
			}
		}
		anyListening(r.harness)
	})
}

// This is what Node's own primary tells, too.
func TestNodeEndsThere(t *testing.T) {
	underEach(t, func(t *testing.T, p Policy) {
		r := nodes(t, p, 1, "testdata/ends.js")
		for _, end := range nodeEnds {
			e := r.end(end.how)
			require.Equal(t, ipc.Exit{Code: end.code}, e.Exit, end.how)
			require.Equal(t, end.after, e.AfterDisconnect, end.how)
		}
		r.stop()
	})
}

// A worker that is asked to leave finishes what is open.
func TestNodeLeave(t *testing.T) {
	t.Parallel()
	for how, leave := range map[string]func(r *harness, w *Worker){
		"leave":    func(_ *harness, w *Worker) { w.Leave() },
		"shutdown": func(r *harness, _ *Worker) { go r.Shutdown(r.t.Context()) },
	} {
		t.Run(how, func(t *testing.T) {
			underEach(t, func(t *testing.T, p Policy) {
				r, _ := startTraced(t, Settings{Policy: p, DrainTimeout: patience}, "testdata/echo.js")
				workers, address := r.fork(1)
				e := newEcho(t, address)
				e.begin("close")
				leave(r, workers[0])
				r.awaitLine(`receive .*"act":"close".*`)
				e.end()
				require.NoError(t, e.failed)
				exit := r.exitOf(workers[0])
				require.Zero(t, exit.Exit)
				require.True(t, exit.AfterDisconnect)
				requireSilent(t, workers[0])
			})
		})
	}
}

// A connection that always has one more request, which Node's server goes on answering, is
// cut when the time is over.
func TestNodeCut(t *testing.T) {
	underEach(t, func(t *testing.T, p Policy) {
		const drain = 500 * time.Millisecond
		r, _ := startTraced(t, Settings{Policy: p, DrainTimeout: drain}, "testdata/echo.js")
		workers, address := r.fork(1)
		e := newEcho(t, address)
		e.begin("keep-alive")
		asked := time.Now()
		workers[0].Leave()
		r.awaitLine(`receive .*"act":"close".*`)
		for e.failed == nil {
			e.endAndBegin()
		}
		require.GreaterOrEqual(t, time.Since(asked), drain)
		exit := r.exitOf(workers[0])
		require.Equal(t, syscall.SIGTERM, exit.Exit.Signal)
		require.True(t, exit.AfterDisconnect)
	})
}

// The port of a server that is closed is free again, and the worker can have it back.
func TestNodeClose(t *testing.T) {
	underEach(t, func(t *testing.T, p Policy) {
		port := strconv.Itoa(freePort(t))
		address := net.JoinHostPort("127.0.0.1", port)
		r := startNodeWorkers(t, Settings{Policy: p}, "testdata/door.js", "127.0.0.1", port)
		workers, _ := r.fork(1)
		r.awaitLine("open")
		for range 2 {
			workers[0].Signal(syscall.SIGUSR2)
			r.awaitLine("closed")
			requireFree(t, address)
			workers[0].Signal(syscall.SIGUSR2)
			r.listeningOf(workers[0])
			require.Equal(t, name(workers[0]), get(t, "tcp", address))
			r.awaitLine("open")
		}
	})
}

// If it is closed in one worker, it is still the other's.
func TestNodeCloseOne(t *testing.T) {
	underEach(t, func(t *testing.T, p Policy) {
		port := strconv.Itoa(freePort(t))
		r := startNodeWorkers(t, Settings{Policy: p}, "testdata/door.js", "127.0.0.1", port)
		workers, address := r.fork(2)
		r.awaitLine("open")
		r.awaitLine("open")
		workers[0].Signal(syscall.SIGUSR2)
		r.awaitLine("closed")
		for range 10 {
			require.Equal(t, name(workers[1]), get(t, "tcp", address))
		}
		workers[0].Signal(syscall.SIGUSR2)
		r.listeningOf(workers[0])
		workers[1].Signal(syscall.SIGUSR2)
		r.awaitLine("closed")
		require.Equal(t, name(workers[0]), get(t, "tcp", address))
	})
}

// Everybody may use a Unix socket if the server says so. Under its own primary Node
// forgets it with SCHED_NONE.
func TestNodeSocketMode(t *testing.T) {
	underEach(t, func(t *testing.T, p Policy) {
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
		r := startNodeWorkers(t, Settings{Policy: p}, script("listen.js", options)...)
		workers, _ := r.fork(1)
		for range modes[1:] {
			r.listeningOf(workers[0])
		}
		plain, err := os.Stat(filepath.Join(dir, modes[0].path)) // as the umask has it
		require.NoError(t, err)
		for i, m := range modes {
			path := filepath.Join(dir, m.path)
			info, err := os.Stat(path)
			require.NoError(t, err)
			require.Equal(t, plain.Mode()|m.more, info.Mode(), m.path)
			require.Equal(t, fmt.Sprintf("server %d", i), get(t, "unix", path))
		}
		require.NoError(t, r.Shutdown(t.Context()))
		left, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Empty(t, left)
	})
}

// Who has no room for a connection leaves it to the other, and if nobody has, it waits.
// The workers are asked again now and then, and not all the time.
func TestNodeFull(t *testing.T) {
	t.Parallel()
	clitest.NeedNode(t)
	r, _ := startTraced(t, Settings{Policy: RoundRobin}, "testdata/full.js", "1")
	workers, address := r.fork(2)
	first, a := greeted(t, address)
	_, b := greeted(t, address)
	require.ElementsMatch(t, []string{name(workers[0]), name(workers[1])}, []string{a, b})

	waiting := dial(t, "tcp", address)
	begun := time.Now()
	const times = 5
	for range times * len(workers) {
		r.awaitLine(`receive .*"accepted":false.*`)
	}
	require.GreaterOrEqual(t, time.Since(begun), (times-2)*100*time.Millisecond) // one is asked at once

	require.NoError(t, first.Close())
	require.Equal(t, a, greeting(t, waiting))
	require.NoError(t, waiting.Close())
	_, again := greeted(t, address)
	require.Equal(t, a, again)
}

// The conversation is that of Node's own primary, line by line.
func TestNodeTranscript(t *testing.T) {
	underEach(t, func(t *testing.T, p Policy) {
		port := freePort(t)
		r, told := startTraced(t, Settings{Policy: p}, script("listen.js", []map[string]any{{"port": port}})...)
		workers, address := r.fork(1)
		require.Equal(t, "server 0", get(t, "tcp", address))
		if p == RoundRobin {
			r.awaitLine(`receive .*"accepted":true.*`) // the answer may be quicker
		}
		workers[0].Leave()
		r.exitOf(workers[0])
		want := strings.ReplaceAll(map[Policy]string{RoundRobin: spokenRoundRobin, None: spokenNone}[p], "8000", strconv.Itoa(port))
		require.Empty(t, cmp.Diff(decoded(t, want), decoded(t, told())))
	})
}

// UDP is shared whatever the policy is.
func TestNodeTranscriptUDP(t *testing.T) {
	underEach(t, func(t *testing.T, p Policy) {
		port := freePort(t)
		r, told := startTraced(t, Settings{Policy: p}, script("udp.js", []map[string]any{
			{"type": "udp4", "port": port, "address": "127.0.0.1"},
		})...)
		workers, _ := r.fork(1)
		workers[0].Leave()
		r.exitOf(workers[0])
		want := strings.ReplaceAll(spokenUDP, "8000", strconv.Itoa(port))
		require.Empty(t, cmp.Diff(decoded(t, want), decoded(t, told())))
	})
}

// What Node's primary and its worker say, with * at a line with a descriptor.
const (
	spokenRoundRobin = `
receive {"cmd":"NODE_CLUSTER","act":"online","seq":0}
receive {"cmd":"NODE_CLUSTER","act":"queryServer","index":0,"data":null,"address":null,"port":8000,"addressType":4,"backlog":0,"seq":1}
send {"cmd":"NODE_CLUSTER","errno":null,"key":"null:8000:4:undefined:0","ack":1,"data":null,"sockname":{"address":"::","family":"IPv6","port":8000},"seq":0}
receive {"cmd":"NODE_CLUSTER","act":"listening","index":0,"data":null,"address":null,"port":8000,"addressType":4,"backlog":0,"seq":2}
send* {"cmd":"NODE_HANDLE","type":"net.Native","msg":{"cmd":"NODE_CLUSTER","act":"newconn","key":"null:8000:4:undefined:0","seq":1}}
receive {"cmd":"NODE_HANDLE_ACK"}
receive {"cmd":"NODE_CLUSTER","ack":1,"accepted":true,"seq":3}
send {"cmd":"NODE_CLUSTER","act":"disconnect","seq":2}
receive {"cmd":"NODE_CLUSTER","act":"close","key":"null:8000:4:undefined:0","seq":4}
`
	spokenNone = `
receive {"cmd":"NODE_CLUSTER","act":"online","seq":0}
receive {"cmd":"NODE_CLUSTER","act":"queryServer","index":0,"data":null,"address":null,"port":8000,"addressType":4,"backlog":0,"seq":1}
send* {"cmd":"NODE_HANDLE","type":"net.Native","msg":{"cmd":"NODE_CLUSTER","errno":0,"key":"null:8000:4:undefined:0","ack":1,"data":null,"seq":0}}
receive {"cmd":"NODE_HANDLE_ACK"}
receive {"cmd":"NODE_CLUSTER","act":"listening","index":0,"data":null,"address":null,"port":8000,"addressType":4,"backlog":0,"seq":2}
send {"cmd":"NODE_CLUSTER","act":"disconnect","seq":1}
receive {"cmd":"NODE_CLUSTER","act":"close","key":"null:8000:4:undefined:0","seq":3}
`
	spokenUDP = `
receive {"cmd":"NODE_CLUSTER","act":"online","seq":0}
receive {"cmd":"NODE_CLUSTER","act":"queryServer","index":0,"data":null,"address":"127.0.0.1","port":8000,"addressType":"udp4","fd":-1,"flags":0,"seq":1}
send* {"cmd":"NODE_HANDLE","type":"dgram.Native","msg":{"cmd":"NODE_CLUSTER","errno":0,"key":"127.0.0.1:8000:udp4:-1:0","ack":1,"data":null,"seq":0}}
receive {"cmd":"NODE_HANDLE_ACK"}
receive {"cmd":"NODE_CLUSTER","act":"listening","index":0,"data":null,"address":"127.0.0.1","port":8000,"addressType":"udp4","fd":-1,"flags":0,"seq":2}
send {"cmd":"NODE_CLUSTER","act":"disconnect","seq":1}
receive {"cmd":"NODE_CLUSTER","act":"close","key":"127.0.0.1:8000:udp4:-1:0","seq":3}
`
)

// spoken is a line of a conversation.
type spoken struct {
	What    string
	Message map[string]any
}

func decoded(t *testing.T, text string) (lines []spoken) {
	t.Helper()
	for line := range strings.Lines(strings.TrimSpace(text)) {
		what, message, _ := strings.Cut(line, " ")
		s := spoken{What: what}
		require.NoError(t, json.Unmarshal([]byte(message), &s.Message))
		delete(s.Message, "within") // only we say it
		if s.Message["flags"] == 0.0 {
			delete(s.Message, "flags") // from Node 22 on, also with TCP
		}
		lines = append(lines, s)
	}
	return lines
}

// raiseNode sets up a primary of ours for Node workers that run a program of testdata.
func startNodeWorkers(t *testing.T, s Settings, words ...string) *harness {
	t.Helper()
	return startPrimary(t, s, slices.Concat([]string{"node"}, words)...)
}

// raiseTraced does so, too. What is said on the channels can be awaited like what workers
// print, and told is all of it.
func startTraced(t *testing.T, s Settings, words ...string) (r *harness, told func() string) {
	t.Helper()
	var mu sync.Mutex
	var all strings.Builder
	s.Trace = func(_ int, e ipc.Event) {
		if e.Line == nil {
			return
		}
		what := e.What
		if e.FD >= 0 {
			what += "*"
		}
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(io.MultiWriter(&all, r), "%s %s\n", what, e.Line)
	}
	r = startNodeWorkers(t, s, words...)
	return r, func() string {
		mu.Lock()
		defer mu.Unlock()
		return all.String()
	}
}

// same runs a program of testdata under Node's primary and under ours, with n workers, and
// requires that what is seen is the same.
func same(t *testing.T, n int, play func(t *testing.T) (words []string, see func(*stage) []string)) {
	underEach(t, func(t *testing.T, p Policy) {
		words, see := play(t)
		theirs := nodes(t, p, n, words...)
		want := see(theirs)
		theirs.stop() // there are ports that both want to have
		words, see = play(t)
		own := ours(t, p, n, words...)
		defer own.stop()
		require.Empty(t, cmp.Diff(want, see(own)))
	})
}

// underEach runs a test under each policy.
func underEach(t *testing.T, test func(t *testing.T, p Policy)) {
	clitest.NeedNode(t)
	t.Parallel()
	for _, p := range nodePolicies {
		t.Run(string(p), func(t *testing.T) {
			t.Parallel()
			test(t, p)
		})
	}
}

// stage is where a program of testdata is played: under Node's primary or ours.
type stage struct {
	*harness
	leave func() // asks all workers to
	stop  func() // ends the primary
}

// end makes the worker end that listens now.
func (s *stage) end(how string) Exit {
	s.t.Helper()
	conn := dial(s.t, "tcp", anyListening(s.harness))
	_, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", how)
	require.NoError(s.t, err)
	require.Equal(s.t, "bye", body(s.t, conn))
	return await(s.harness, func(Exit) bool { return true })
}

// ours is a stage with a Primary of ours.
func ours(t *testing.T, p Policy, n int, words ...string) *stage {
	t.Helper()
	r := startNodeWorkers(t, Settings{Policy: p, Restart: hasty()}, words...)
	for range n {
		_, err := r.Fork()
		require.NoError(t, err)
	}
	return &stage{
		harness: r,
		leave:   func() { require.NoError(t, r.Shutdown(t.Context())) },
		stop:    func() { stopNow(r) },
	}
}

// stopNow ends a primary without patience: a server that is not the primary's would keep its
// worker.
func stopNow(r *harness) {
	now, cancel := context.WithCancel(context.Background())
	cancel()
	r.Shutdown(now)
}

// nodes is a stage without a Primary of ours.
func nodes(t *testing.T, p Policy, n int, words ...string) *stage {
	t.Helper()
	cmd := clitest.Command(t, slices.Concat([]string{"node", "testdata/primary.js", strconv.Itoa(n)}, words)...)
	cmd.Env = append(cmd.Env, "NODE_CLUSTER_SCHED_POLICY="+string(p))
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	r := &harness{t: t}
	r.more.L = &r.mu
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			told, ok := strings.CutPrefix(lines.Text(), "event ")
			if !ok {
				fmt.Fprintln(r, lines.Text())
				continue
			}
			r.mu.Lock()
			r.news = append(r.news, eventOf(told))
			r.mu.Unlock()
			r.more.Broadcast()
		}
		cmd.Wait()
		r.mu.Lock()
		r.over = true
		r.mu.Unlock()
		r.more.Broadcast()
	}()
	return &stage{
		harness: r,
		leave:   func() { cmd.Process.Signal(syscall.SIGTERM) },
		stop: func() {
			cmd.Process.Kill() // the workers end with it
			<-ended
		},
	}
}

// eventOf is an event of Node's primary as one of ours.
func eventOf(told string) Event {
	var e struct {
		What                  string
		Address               *string
		Port                  *int
		ExitedAfterDisconnect bool
		Code                  int
		Signal                string
	}
	if err := json.Unmarshal([]byte(told), &e); err != nil {
		return Failed{Err: err}
	}
	if e.What == "listening" {
		return Listening{Address: query{Address: e.Address, Port: e.Port}.String()}
	}
	return Exit{
		Exit:            ipc.Exit{Code: e.Code, Signal: unix.SignalNum(e.Signal)},
		AfterDisconnect: e.ExitedAfterDisconnect,
	}
}

// script is the command line of a program of testdata that has options.
func script(name string, options []map[string]any) []string {
	words := []string{"testdata/" + name}
	for _, o := range options {
		text, _ := json.Marshal(o)
		words = append(words, string(text))
	}
	return words
}

// seeServers awaits lines of servers that tell where they listen, or why not, and the
// events of those that do, but for some of which the primary does not know.
func seeServers(lines, unknown int) func(*stage) []string {
	return func(s *stage) (seen []string) {
		known := -unknown
		for range lines {
			line := s.awaitLine(`(\d+ (?:address|error) .*)`)
			seen = append(seen, line)
			if !strings.Contains(line, " error ") {
				known++
			}
		}
		for range known {
			seen = append(seen, "listening "+anyListening(s.harness))
		}
		return alike(seen)
	}
}

// anyListening is the address of the next server that listens, in whichever worker.
func anyListening(r *harness) string {
	r.t.Helper()
	return await(r, func(Listening) bool { return true }).Address
}

var (
	somePort = regexp.MustCompile(`\b\d{5}\b`)
	testDir  = regexp.MustCompile(`/\S+/\d{3}\b`) // a directory of the test
)

// alike sorts the lines, and takes out of them what is different each time: ports are named
// after the first server that has them, so that one sees which are the same.
func alike(lines []string) []string {
	slices.Sort(lines)
	ports, named := map[string]string{}, map[string]int{}
	for i, line := range lines {
		line = testDir.ReplaceAllString(line, "DIR")
		lines[i] = somePort.ReplaceAllStringFunc(line, func(port string) string {
			if ports[port] == "" {
				server, _, _ := strings.Cut(line, " ")
				ports[port] = fmt.Sprintf("PORT%s-%d", server, named[server])
				named[server]++
			}
			return ports[port]
		})
	}
	slices.Sort(lines)
	return lines
}

// requireSilent requires that a worker that has ended has never complained.
func requireSilent(t *testing.T, w *Worker) {
	t.Helper()
	said, ok := w.process.Stderr.ErrorLine()
	require.False(t, ok, said)
}

// hasty starts workers again at once, however often they end.
func hasty() *restart.Policy {
	policy := restart.Default(0)
	policy.Restarts, policy.MaxPause = 1000, time.Millisecond
	return &policy
}

// echoClient is a client of echo.js: its requests last for as long as it wants.
type echoClient struct {
	conn    net.Conn
	answers *bufio.Reader
	now     *http.Response
	failed  error
}

func newEcho(t *testing.T, address string) *echoClient {
	conn := dial(t, "tcp", address)
	return &echoClient{conn: conn, answers: bufio.NewReader(conn)}
}

const (
	echoBegins = "POST / HTTP/1.1\r\nHost: x\r\nConnection: %s\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n"
	echoEnds   = "4\r\nlast\r\n0\r\n\r\n"
)

func (e *echoClient) begin(connection string) {
	e.say(fmt.Sprintf(echoBegins, connection))
	e.hearFirst()
}

func (e *echoClient) end() {
	e.say(echoEnds)
	e.hearLast()
}

// endAndBegin has the next request in the same packet.
func (e *echoClient) endAndBegin() {
	e.say(echoEnds + fmt.Sprintf(echoBegins, "keep-alive"))
	e.hearLast()
	e.hearFirst()
}

func (e *echoClient) say(text string) {
	if e.failed == nil {
		_, e.failed = io.WriteString(e.conn, text)
	}
}

func (e *echoClient) hearFirst() {
	if e.failed == nil {
		e.now, e.failed = http.ReadResponse(e.answers, nil)
	}
	if e.failed == nil {
		_, e.failed = io.ReadFull(e.now.Body, make([]byte, len("first")))
	}
}

func (e *echoClient) hearLast() {
	if e.failed != nil {
		return
	}
	var rest []byte
	if rest, e.failed = io.ReadAll(e.now.Body); e.failed == nil && string(rest) != "last" {
		e.failed = fmt.Errorf("the answer ends with %q", rest)
	}
}

// greeted connects to full.js, and returns what it says then.
func greeted(t *testing.T, address string) (conn net.Conn, greets string) {
	t.Helper()
	conn = dial(t, "tcp", address)
	return conn, greeting(t, conn)
}

func greeting(t *testing.T, conn net.Conn) string {
	t.Helper()
	line, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(line)
}

// lastPort is below those that the system gives for port 0, so that nobody gets one of
// freePort's by chance.
var lastPort atomic.Int64

func init() { lastPort.Store(10000 + mathrand.Int64N(20000)) }

// freePort is the number of a port that is free at this moment, on all addresses.
func freePort(t *testing.T) int {
	t.Helper()
	for {
		port := int(lastPort.Add(1))
		l, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
		if err == nil {
			require.NoError(t, l.Close())
			return port
		}
	}
}

// requireFree waits until an address can be had.
func requireFree(t *testing.T, address string) {
	t.Helper()
	require.Eventually(t, func() bool {
		l, err := net.Listen("tcp", address)
		return err == nil && l.Close() == nil
	}, patience, time.Millisecond)
}

// portOf is the port in what Node says is an address.
func portOf(t *testing.T, said string) string {
	t.Helper()
	var address struct{ Port int }
	require.NoError(t, json.Unmarshal([]byte(said), &address))
	return strconv.Itoa(address.Port)
}

var hasIPv6 = sync.OnceValue(func() bool {
	l, err := net.Listen("tcp", "[::1]:0")
	return err == nil && l.Close() == nil
})

// certificate writes one for loopback, and its key.
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
