package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"playing-with-processes/internal/restart"

	"github.com/stretchr/testify/require"
)

// A worker may have much to say that is not for the cluster, and serves all the same.
func TestAwkwardTalkative(t *testing.T) {
	t.Parallel()
	r := startPrimary(t, Settings{}, "go", "talkative")
	workers, address := r.fork(1)
	for range 20 {
		require.Equal(t, name(workers[0]), get(t, "tcp", address))
	}
	r.awaitLine("all said")
	require.Equal(t, name(workers[0]), get(t, "tcp", address))
}

func init() {
	roles["talkative"] = func(...string) error {
		l, err := self()
		if err != nil {
			return err
		}
		go func() {
			for range 20_000 {
				l.channel.Send(context.Background(), json.RawMessage(`{"some":"metrics"}`))
			}
			fmt.Println("all said")
		}()
		return roles["http"]("tcp", "127.0.0.1:0")
	}
}

// When we have ended a channel ourselves, nobody knows what the worker had accepted: the
// client hears that something went wrong, and nobody else gets its connection.
func TestAwkwardUnheard(t *testing.T) {
	t.Parallel()
	r := startPrimary(t, Settings{}, "go", "unheard")
	workers, address := r.fork(2)
	_, err := dial(t, "tcp", address).Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET)
	exit := await(r, func(e Exit) bool { return e.Worker == workers[0] || e.Worker == workers[1] })
	require.Zero(t, exit.Returned)
	require.Contains(t, exit.Why, "its channel had to be closed")
}

func init() {
	roles["unheard"] = func(...string) error {
		w, _, err := joinAndListen()
		if err != nil {
			return err
		}
		given := w.newconn()
		w.write(`"` + strings.Repeat("x", 2<<20) + `"`)
		w.answerConn(given, true)
		return forever()
	}
}

// A worker that is full until the end does not hold that up.
func TestAwkwardFullInTheEnd(t *testing.T) {
	t.Parallel()
	r := startPrimary(t, Settings{DrainTimeout: 500 * time.Millisecond}, "go", "always full")
	_, address := r.fork(1)
	conn := dial(t, "tcp", address)
	r.awaitLine("refused")
	begun := time.Now()
	require.NoError(t, r.Shutdown(t.Context()))
	require.Less(t, time.Since(begun), patience/2)
	_, err := conn.Read(make([]byte, 1))
	require.Error(t, err)
	require.Equal(t, 1, await(r, func(Rejected) bool { return true }).Connections)
}

func init() {
	roles["always full"] = func(...string) error {
		w, _, err := joinAndListen()
		if err != nil {
			return err
		}
		for {
			w.answerConn(w.newconn(), false)
			fmt.Println("refused")
		}
	}
}

// What comes back when the port has gone is reset, and not forgotten.
func TestAwkwardClosedMeanwhile(t *testing.T) {
	t.Parallel()
	r := startPrimary(t, Settings{}, "go", "closes")
	_, address := r.fork(1)
	_, err := dial(t, "tcp", address).Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET)
	_, err = net.Dial("tcp", address)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
}

func init() {
	roles["closes"] = func(...string) error {
		w, key, err := joinAndListen()
		if err != nil {
			return err
		}
		given := w.newconn()
		w.tell(message{Cmd: command, Act: actClose, Key: key})
		w.answerConn(given, false)
		return forever()
	}
}

// A port that nobody wants any more goes, as when each worker has one of its own.
func TestAwkwardOwnPorts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	policy := patient()
	var r *harness
	r = startPrimary(t, Settings{
		Restart:       &policy,
		AcceptTimeout: 100 * time.Millisecond,
		QueueTimeout:  200 * time.Millisecond,
		Command:       func() *exec.Cmd { return r.command("go", "own port", dir) },
	})
	workers, path := r.fork(1)
	require.Equal(t, name(workers[0]), get(t, "unix", path))
	workers[0].Signal(syscall.SIGKILL)
	next := await(r, func(e Listening) bool { return e.Worker != workers[0] })
	require.Eventually(t, func() bool {
		_, err := os.Lstat(path)
		return os.IsNotExist(err)
	}, patience, time.Millisecond)
	require.Equal(t, name(next.Worker), get(t, "unix", next.Address))
	r.Primary.mu.Lock()
	defer r.Primary.mu.Unlock()
	require.Len(t, r.ports, 1)
}

func init() {
	roles["own port"] = func(args ...string) error {
		return roles["http"]("unix", filepath.Join(args[0], fmt.Sprint(os.Getpid())))
	}
}

// The path of a Unix socket that is somebody else's by now stays.
func TestAwkwardPathOfAnother(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "socket")
	r := startPrimary(t, Settings{}, "go", "http", "unix", path)
	r.fork(1)
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	require.NoError(t, r.Shutdown(t.Context()))
	require.FileExists(t, path)
}

// A relative path is relative to where the worker is.
func TestAwkwardRelativePath(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var r *harness
	r = startPrimary(t, Settings{Command: func() *exec.Cmd {
		cmd := r.command("go", "http", "unix", "socket")
		cmd.Dir = dir
		return cmd
	}})
	workers, _ := r.fork(1)
	require.Equal(t, name(workers[0]), get(t, "unix", filepath.Join(dir, "socket")))
}

// Fork, Leave and Shutdown may come at once.
func TestAwkwardAllAtOnce(t *testing.T) {
	t.Parallel()
	r := startPrimary(t, Settings{DrainTimeout: time.Second}, goHTTP...)
	for range 3 {
		go func() {
			for {
				w, err := r.Fork()
				if err != nil {
					require.ErrorIs(t, err, ErrShutdown)
					return
				}
				go w.Leave()
			}
		}()
	}
	await(r, func(Online) bool { return true })
	require.NoError(t, r.Shutdown(t.Context()))
	require.Empty(t, r.Workers())
}

// A worker that has no descriptor left for a connection has not got it: another one has.
func TestAwkwardNoDescriptors(t *testing.T) {
	t.Parallel()
	r, next := startChanging(t, Settings{AcceptTimeout: patience}, "go", "no descriptors")
	r.fork(1)
	next(goHTTP...)
	good, address := r.fork(1)
	for range 4 {
		require.Equal(t, name(good[0]), get(t, "tcp", address))
	}
}

func init() {
	roles["no descriptors"] = func(...string) error {
		if _, err := Listen("tcp", "127.0.0.1:0"); err != nil {
			return err
		}
		time.Sleep(time.Nanosecond) // the runtime opens one for its timers
		next, err := syscall.Dup(0)
		if err != nil {
			return err
		}
		syscall.Close(next)
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: uint64(next), Max: uint64(next)}); err != nil {
			return err
		}
		return forever()
	}
}

// A worker may take as long to leave as its primary is patient, whoever wanted it.
func TestAwkwardPatience(t *testing.T) {
	t.Parallel()
	r := startPrimary(t, Settings{DrainTimeout: patience}, "go", "slow")
	workers, address := r.fork(2)
	var conns []net.Conn
	for range workers {
		conn := dial(t, "tcp", address)
		require.NoError(t, askFor(conn))
		r.awaitLine("serving")
		conns = append(conns, conn)
	}
	workers[0].Leave()                               // this one is asked,
	workers[1].process.Process.Kill(syscall.SIGUSR1) // and this one asks
	for _, conn := range conns {
		require.Equal(t, "slow", body(t, conn))
	}
	for _, w := range workers {
		require.Zero(t, r.exitOf(w).Exit)
	}
}

func init() {
	roles["slow"] = func(...string) error {
		asked := make(chan os.Signal, 1)
		signal.Notify(asked, syscall.SIGUSR1)
		go func() {
			<-asked
			Leave()
		}()
		l, err := Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		return Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Println("serving")
			time.Sleep(defaultDrain + time.Second)
			io.WriteString(w, "slow")
		}))
	}
}

// A program that does not start, or fails, is tried less and less, and its first error is
// told; then all is well again.
func TestAwkwardCircuit(t *testing.T) {
	t.Parallel()
	policy := restart.Default(0)
	policy.Period, policy.StableAfter, policy.FirstPause = 2*time.Second, 200*time.Millisecond, time.Millisecond
	policy.MaxPause = 10 * time.Millisecond
	r, next := startChanging(t, Settings{Restart: &policy}, goHTTP...)
	workers, _ := r.fork(1)
	next("./nobody")
	workers[0].Signal(syscall.SIGKILL)
	require.Contains(t, await(r, func(Failed) bool { return true }).Err.Error(), "nobody")
	open := await(r, func(e Restarts) bool { return e.State == restart.Suspended })
	require.Regexp(t, `nobody|killed`, open.FirstError)
	require.Positive(t, open.Next)
	next(goHTTP...)
	await(r, func(e Restarts) bool { return e.State == restart.Probing })
	await(r, func(e Restarts) bool { return e.State == restart.On })
	require.Len(t, r.Workers(), 1)
}

// Who leaves by itself has a successor, which is not meant when it is asked to leave, too.
func TestAwkwardSuccessor(t *testing.T) {
	t.Parallel()
	policy := patient()
	r, next := startChanging(t, Settings{Restart: &policy, DrainTimeout: patience}, "go", "hostile", "leaves and stays")
	w, err := r.Fork()
	require.NoError(t, err)
	next(goHTTP...)
	second := await(r, func(e Listening) bool { return e.Worker != w }).Worker
	w.Leave()
	w.Signal(syscall.SIGKILL)
	require.True(t, r.exitOf(w).AfterDisconnect)
	second.Signal(syscall.SIGKILL)
	await(r, func(e Listening) bool { return e.Worker != w && e.Worker != second })
}

// What cannot be is an error.
func TestAwkwardErrors(t *testing.T) {
	t.Parallel()
	r := startPrimary(t, Settings{}, "go", "primary")
	_, err := r.Fork()
	require.NoError(t, err)
	r.awaitLine(ErrNotPrimary.Error())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, r.Shutdown(ctx), context.Canceled)
	_, err = r.Fork()
	require.ErrorIs(t, err, ErrShutdown)
	_, err = SetupPrimary(Settings{Policy: "fair"})
	require.EqualError(t, err, "policy fair: there are [none rr sticky]")
}

func init() {
	roles["primary"] = func(...string) error {
		_, err := SetupPrimary(Settings{})
		fmt.Println(err)
		return forever()
	}
}
