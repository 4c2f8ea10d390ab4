package cluster

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
)

// What is promised to a connection depends on where it is: these are the rungs.

// L0, L1: while there is no worker, connections wait in the kernel, and the next worker
// answers them all. The port does not close.
func TestRungQueue(t *testing.T) {
	each(t, func(t *testing.T, worker []string) {
		r := startPrimary(t, Settings{}, worker...)
		workers, address := r.fork(1)
		workers[0].Leave()
		r.exitOf(workers[0])
		var waiting []net.Conn
		for range 20 {
			conn := dial(t, "tcp", address)
			require.NoError(t, askFor(conn))
			waiting = append(waiting, conn)
		}
		d := r.dispatcher()
		r.Primary.mu.Lock()
		here := d.picker.len()
		r.Primary.mu.Unlock()
		require.Zero(t, here, "they wait in the kernel")
		workers, _ = r.fork(1)
		for _, conn := range waiting {
			require.Equal(t, name(workers[0]), body(t, conn))
		}
	})
}

// dispatcher is that of the only port.
func (r *harness) dispatcher() *dispatcher {
	r.Primary.mu.Lock()
	defer r.Primary.mu.Unlock()
	for _, pt := range r.ports {
		return pt.scheduler.(*dispatcher)
	}
	return nil
}

// L0: they do not wait for ever. The clients are told, and so is who looks on.
func TestRungQueueTimeout(t *testing.T) {
	t.Parallel()
	r := startPrimary(t, Settings{AcceptTimeout: 100 * time.Millisecond, QueueTimeout: 200 * time.Millisecond}, goHTTP...)
	workers, address := r.fork(1)
	workers[0].Leave()
	r.exitOf(workers[0])
	waiting := []net.Conn{dial(t, "tcp", address), dial(t, "tcp", address), dial(t, "tcp", address)}
	for _, conn := range waiting {
		_, err := conn.Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNRESET)
	}
	reset := 0
	for reset < len(waiting) { // they may have come before and after a deadline
		reset += await(r, func(Rejected) bool { return true }).Connections
	}
	require.Equal(t, len(waiting), reset)
	workers, _ = r.fork(1)
	require.Equal(t, name(workers[0]), get(t, "tcp", address))
}

// While this primary itself was stopped, nobody was late.
func TestRungDeadlineCountsTicks(t *testing.T) {
	t.Parallel()
	w := &Worker{pending: map[int64]*pendingConn{1: {}}, primary: &Primary{}}
	require.NotPanics(t, func() {
		for range 10 {
			w.tick(10)
		}
	})
	require.Panics(t, func() { w.tick(10) }, "there is no process to kill")
}

// First condition of L2: who has not told the primary has not read a byte. When Accept
// returns it has been told.
func TestRungAcceptedBeforeReading(t *testing.T) {
	t.Parallel()
	policy := patient()
	r := startPrimary(t, Settings{Restart: &policy}, "go", "die after accept")
	workers, address := r.fork(1)
	w := workers[0]
	for range clitest.Times(20, 200) {
		conn := dial(t, "tcp", address)
		_, err := conn.Read(make([]byte, 1))
		require.Error(t, err)
		conn.Close()
		require.Zero(t, r.exitOf(w).Returned, "it had accepted")
		w = await(r, func(e Listening) bool { return e.Worker != w }).Worker
	}
}

func init() {
	roles["die after accept"] = func(...string) error {
		l, err := Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		l.Accept()
		return syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
}

// Second condition: what a dead worker had said is heard first. It had accepted.
func TestRungLastWords(t *testing.T) {
	t.Parallel()
	r := startPrimary(t, Settings{}, "go", "last words")
	workers, address := r.fork(1)
	conn := dial(t, "tcp", address)
	r.awaitLine("given")
	r.Primary.mu.Lock() // so nothing is heard until the worker is gone
	require.NoError(t, workers[0].process.Process.Kill(syscall.SIGUSR1))
	<-workers[0].process.Done()
	r.Primary.mu.Unlock()
	require.Zero(t, r.exitOf(workers[0]).Returned)
	_, err := conn.Read(make([]byte, 1))
	require.Error(t, err)
}

func init() {
	roles["last words"] = func(...string) error {
		told := make(chan os.Signal, 1)
		signal.Notify(told, syscall.SIGUSR1)
		raw, _, err := joinAndListen()
		if err != nil {
			return err
		}
		given := raw.newconn()
		fmt.Println("given")
		<-told
		raw.tell(message{Cmd: command, Act: actOnline}) // is heard before, and says nothing new
		raw.answerConn(given, true)
		return syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
}

// Third condition: a worker that has no channel any more, and runs, may still read.
func TestRungNotBeforeTheEnd(t *testing.T) {
	t.Parallel()
	r := startPrimary(t, Settings{DrainTimeout: patience}, "go", "silent")
	workers, address := r.fork(1)
	conn := dial(t, "tcp", address)
	require.NoError(t, askFor(conn))
	await(r, func(e Disconnect) bool { return e.Worker == workers[0] })
	r.env = append(r.env, "THEN=http")
	next, err := r.Fork()
	require.NoError(t, err)
	r.listeningOf(next)
	for range 10 {
		require.Equal(t, name(next), get(t, "tcp", address))
	}
	require.Contains(t, r.ids(), workers[0].ID(), "its end is not told before it has come")
	require.False(t, readable(conn), "nobody else has the connection")
	workers[0].Signal(syscall.SIGKILL)
	exit := r.exitOf(workers[0])
	require.Equal(t, 1, exit.Returned)
	require.Equal(t, syscall.SIGKILL, exit.Exit.Signal)
	require.NotContains(t, r.ids(), workers[0].ID())
	require.Contains(t, body(t, conn), "worker")
}

func init() {
	roles["silent"] = func(...string) error {
		if os.Getenv("THEN") != "" {
			return roles["http"]("tcp", "127.0.0.1:0")
		}
		raw, _, err := joinAndListen()
		if err != nil {
			return err
		}
		raw.newconn()
		raw.Disconnect()
		return forever()
	}
}

// L3, L4: what a worker has accepted ends with it. The client sees the end at once.
func TestRungServed(t *testing.T) {
	clitest.Each(t, "node", func(t *testing.T, worker string) {
		words := []string{"node", "testdata/hold.js", "127.0.0.1:0"}
		if worker == "" {
			words = []string{"go", "hold"}
		}
		policy := patient()
		r := startPrimary(t, Settings{Restart: &policy, AcceptTimeout: patience}, words...)
		workers, address := r.fork(1)
		for _, rung := range []struct {
			path, got string
			err       error
		}{
			{"/", "", nil},
			{"/half", "half", io.ErrUnexpectedEOF},
		} {
			conn := dial(t, "tcp", address)
			fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", rung.path)
			r.awaitLine("serving " + rung.path)
			workers[0].Signal(syscall.SIGKILL)
			require.Zero(t, r.exitOf(workers[0]).Returned)
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if rung.err == nil {
				require.Error(t, err)
				require.False(t, errors.Is(err, os.ErrDeadlineExceeded))
			} else {
				require.NoError(t, err)
				text, err := io.ReadAll(response.Body)
				require.Equal(t, rung.got, string(text))
				require.ErrorIs(t, err, rung.err)
			}
			workers[0] = await(r, func(e Listening) bool { return e.Worker != workers[0] }).Worker
		}
	})
}

func init() {
	roles["hold"] = func(...string) error {
		l, err := Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		return Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/half" {
				w.Header().Set("Content-Length", "8")
				io.WriteString(w, "half")
				http.NewResponseController(w).Flush()
			}
			fmt.Println("serving", r.URL.Path)
			forever()
		}))
	}
}
