package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A worker may have much to say that is not for the cluster, and serves all the same.
func TestAwkwardTalkative(t *testing.T) {
	t.Parallel()
	r := raise(t, Settings{}, "go", "talkative")
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
				l.primary.Send(context.Background(), json.RawMessage(`{"some":"metrics"}`))
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
	r := raise(t, Settings{}, "go", "unheard")
	workers, address := r.fork(2)
	_, err := dial(t, "tcp", address).Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET)
	exit := await(r, func(e Exit) bool { return e.Worker == workers[0] || e.Worker == workers[1] })
	require.Zero(t, exit.Returned)
	require.Contains(t, exit.Why, "its channel had to be closed")
}

func init() {
	roles["unheard"] = func(...string) error {
		w, key, err := rawListen("127.0.0.1", 0)
		if err != nil {
			return err
		}
		given := w.newconn(key)
		w.write(`"` + strings.Repeat("x", 2<<20) + `"`)
		w.judge(given, true)
		select {}
	}
}

// A worker that is full until the end does not hold that up.
func TestAwkwardFullInTheEnd(t *testing.T) {
	t.Parallel()
	r := raise(t, Settings{DrainTimeout: 500 * time.Millisecond}, "go", "always full")
	_, address := r.fork(1)
	conn := dial(t, "tcp", address)
	r.awaitLine("refused")
	begun := time.Now()
	require.NoError(t, r.Shutdown(t.Context()))
	require.Less(t, time.Since(begun), patience/2)
	_, err := conn.Read(make([]byte, 1))
	require.Error(t, err)
	require.Equal(t, 1, await(r, func(TurnedAway) bool { return true }).Connections)
}

func init() {
	roles["always full"] = func(...string) error {
		w, key, err := rawListen("127.0.0.1", 0)
		if err != nil {
			return err
		}
		for {
			w.judge(w.newconn(key), false)
			fmt.Println("refused")
		}
	}
}

// What comes back when the port has gone is reset, and not forgotten.
func TestAwkwardClosedMeanwhile(t *testing.T) {
	t.Parallel()
	r := raise(t, Settings{}, "go", "closes")
	_, address := r.fork(1)
	_, err := dial(t, "tcp", address).Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET)
	_, err = net.Dial("tcp", address)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
}

func init() {
	roles["closes"] = func(...string) error {
		w, key, err := rawListen("127.0.0.1", 0)
		if err != nil {
			return err
		}
		given := w.newconn(key)
		w.tell(message{Cmd: command, Act: actClose, Key: key})
		w.judge(given, false)
		select {}
	}
}

// A port that nobody wants any more goes, as when each worker has one of its own.
func TestAwkwardOwnPorts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	policy := patient()
	var r *rig
	r = raise(t, Settings{
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
	r := raise(t, Settings{}, "go", "http", "unix", path)
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
	var r *rig
	r = raise(t, Settings{Command: func() *exec.Cmd {
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
	r := raise(t, Settings{DrainTimeout: time.Second}, goHTTP...)
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
