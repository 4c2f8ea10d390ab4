package cluster

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"playing-with-processes/internal/clitest"
)

// patience is how long a test waits for what must come. Nothing is right because of it;
// it only turns a hang into a failure.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	clitest.Main(m, func() {
		if err := roles[os.Args[1]](os.Args[2:]...); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	})
}

// roles are what this test binary does as a worker.
var roles = map[string]func(args ...string) error{
	"http": func(args ...string) error {
		l, err := Listen(args[0], args[1])
		if err != nil {
			return err
		}
		fmt.Println("address", l.Addr())
		return Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "worker %d", os.Getpid())
		}))
	},
}

// goHTTP and nodeHTTP are workers that say who answers, on any free port of loopback.
var (
	goHTTP   = []string{"go", "http", "tcp", "127.0.0.1:0"}
	nodeHTTP = []string{"node", "testdata/http.js", "127.0.0.1:0"}
)

// nodePolicies are those that Node has.
var nodePolicies = []Policy{RoundRobin, None}

// harness is a primary in this process, with workers, and what has happened to them.
type harness struct {
	*Primary
	t    *testing.T
	env  []string // of the workers
	mu   sync.Mutex
	more sync.Cond
	news []Event // not awaited yet
	said string  // what the workers have printed, and was not awaited yet
	over bool
}

// raise sets up a primary for workers that run words; "go" stands for this test binary,
// whose next word is a role.
func startPrimary(t *testing.T, s Settings, words ...string) *harness {
	t.Helper()
	self := clitest.Command(t, clitest.Self(t)) // its clean-up comes last
	r := &harness{t: t, env: self.Env}
	r.more.L = &r.mu
	if s.Command == nil {
		s.Command = func() *exec.Cmd { return r.command(words...) }
	}
	var err error
	r.Primary, err = SetupPrimary(s)
	require.NoError(t, err)
	listened := make(chan struct{})
	go func() {
		defer close(listened)
		for e := range r.Events() {
			r.mu.Lock()
			r.news = append(r.news, e)
			r.mu.Unlock()
			r.more.Broadcast()
		}
		r.mu.Lock()
		r.over = true
		r.mu.Unlock()
		r.more.Broadcast()
	}()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, r.Shutdown(ctx))
		<-listened
	})
	return r
}

// command is a worker's command line.
func (r *harness) command(words ...string) *exec.Cmd {
	if words[0] == "go" {
		path, _ := os.Executable()
		words = slices.Concat([]string{path}, words[1:])
	}
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Env, cmd.Stdout = r.env, r
	return cmd
}

// Write takes what workers print.
func (r *harness) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said += string(p)
	r.more.Broadcast()
	return len(p), nil
}

// awaitLine waits for a line that a worker prints, and returns what its first
// parenthesized part is, or all of it. Each line counts once, in any order.
func (r *harness) awaitLine(pattern string) (found string) {
	r.t.Helper()
	matching := regexp.MustCompile(`(?m)^` + pattern + `\n`)
	r.wait("no line "+pattern, func() bool {
		at := matching.FindStringSubmatchIndex(r.said)
		if at == nil {
			return false
		}
		last := len(at) - 2
		found = strings.TrimSpace(r.said[at[last]:at[last+1]])
		r.said = r.said[:at[0]] + r.said[at[1]:]
		return true
	})
	return found
}

// wait waits until it is done. It is asked again when there is something new.
func (r *harness) wait(otherwise string, done func() bool) {
	r.t.Helper()
	late := false
	watchdog := time.AfterFunc(patience, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		late = true
		r.more.Broadcast()
	})
	defer watchdog.Stop()
	r.mu.Lock()
	defer r.mu.Unlock()
	for !done() {
		if late || r.over {
			require.FailNow(r.t, otherwise, "events: %v\nsaid: %s", r.news, r.said)
		}
		r.more.Wait()
	}
}

// await waits for an event of this type that is right. Each counts once, in any order.
func await[E Event](r *harness, right func(E) bool) (found E) {
	r.t.Helper()
	r.wait(fmt.Sprintf("no %T", found), func() bool {
		i := slices.IndexFunc(r.news, func(e Event) bool {
			event, ok := e.(E)
			if ok && right(event) {
				found = event
			}
			return ok && right(event)
		})
		if i < 0 {
			return false
		}
		r.news = slices.Delete(r.news, i, i+1)
		return true
	})
	return found
}

// exitOf waits for the end of a worker.
func (r *harness) exitOf(w *Worker) Exit {
	r.t.Helper()
	return await(r, func(e Exit) bool { return e.Worker == w })
}

// listeningOf waits until a worker listens, once more, and returns the address.
func (r *harness) listeningOf(w *Worker) string {
	r.t.Helper()
	return await(r, func(e Listening) bool { return e.Worker == w }).Address
}

// fork starts so many workers, waits until they listen, and returns the address of one.
func (r *harness) fork(n int) (workers []*Worker, address string) {
	r.t.Helper()
	for range n {
		w, err := r.Fork()
		require.NoError(r.t, err)
		workers = append(workers, w)
	}
	for _, w := range workers {
		address = r.listeningOf(w)
	}
	return workers, address
}

// dial connects, for as long as the test goes on.
func dial(t *testing.T, network, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial(network, address)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// askFor makes one request on a connection.
func askFor(conn net.Conn) error {
	_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	return err
}

// get is the body of the answer on a connection of its own, which there must be.
func get(t *testing.T, network, address string) string {
	t.Helper()
	conn := dial(t, network, address)
	defer conn.Close()
	require.NoError(t, askFor(conn))
	return body(t, conn)
}

// body is the body of the answer that comes.
func body(t *testing.T, conn net.Conn) string {
	t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(text)
}

// name is what a worker answers.
func name(w *Worker) string { return fmt.Sprintf("worker %d", w.Pid()) }

// each runs a test with Go workers and with Node workers.
func each(t *testing.T, test func(t *testing.T, worker []string)) {
	clitest.Each(t, "node", func(t *testing.T, worker string) {
		if worker == "" {
			test(t, goHTTP)
		} else {
			test(t, nodeHTTP)
		}
	})
}

// readable reports whether there is something to read, and leaves it there.
func readable(conn net.Conn) (is bool) {
	raw, _ := conn.(*net.TCPConn).SyscallConn()
	raw.Control(func(fd uintptr) {
		n, _, _ := unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
		is = n > 0
	})
	return is
}
