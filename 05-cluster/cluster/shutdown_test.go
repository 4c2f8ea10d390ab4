package cluster

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"playing-with-processes/internal/clitest"

	"github.com/stretchr/testify/require"
)

// A worker that refuses every connection must not delay a shutdown.
func TestShutdownWithFullWorker(t *testing.T) {
	t.Parallel()
	h := startPrimary(t, Settings{DrainTimeout: 500 * time.Millisecond}, "go", "always full")
	_, address := h.fork(1)
	conn := dial(t, "tcp", address)
	h.awaitLine("refused")
	require.NoError(t, h.Shutdown(t.Context()))
	_, err := conn.Read(make([]byte, 1))
	require.Error(t, err)
	require.Equal(t, 1, await(h, func(Rejected) bool { return true }).Connections)
}

func init() {
	roles["always full"] = func(...string) error {
		w, _, err := joinAndListen()
		if err != nil {
			return err
		}
		for {
			w.answerConn(w.awaitConn(), false)
			fmt.Println("refused")
		}
	}
}

// Fork, Leave and Shutdown may be called at the same time.
func TestConcurrentForkLeaveShutdown(t *testing.T) {
	t.Parallel()
	h := startPrimary(t, Settings{DrainTimeout: time.Second}, goHTTP...)
	for range 3 {
		go func() {
			for {
				w, err := h.Fork()
				if err != nil {
					require.ErrorIs(t, err, ErrShutdown)
					return
				}
				w.Leave()
				<-w.process.Done()
			}
		}()
	}
	await(h, func(Online) bool { return true })
	require.NoError(t, h.Shutdown(t.Context()))
	require.Empty(t, h.Workers())
}

// A worker may take DrainTimeout to leave, whether it was asked to or leaves by itself.
func TestDrainTimeout(t *testing.T) {
	t.Parallel()
	h := startPrimary(t, Settings{DrainTimeout: clitest.Never}, "go", "slow")
	workers, address := h.fork(2)
	var conns []net.Conn
	for range workers {
		conn := dial(t, "tcp", address)
		require.NoError(t, sendRequest(conn))
		h.awaitLine("serving")
		conns = append(conns, conn)
	}
	workers[0].Leave()                               // is asked to leave
	workers[1].process.Process.Kill(syscall.SIGUSR1) // leaves by itself
	for _, conn := range conns {
		require.Equal(t, "slow", body(t, conn))
	}
	for _, w := range workers {
		require.Zero(t, h.exitOf(w).Exit)
	}
}

func init() {
	roles["slow"] = func(...string) error {
		leave := make(chan os.Signal, 1)
		signal.Notify(leave, syscall.SIGUSR1)
		go func() {
			<-leave
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

// Calls that are not possible must return their errors.
func TestPrimaryErrors(t *testing.T) {
	t.Parallel()
	h := startPrimary(t, Settings{}, "go", "primary")
	_, err := h.Fork()
	require.NoError(t, err)
	h.awaitLine(ErrNotPrimary.Error())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, h.Shutdown(ctx), context.Canceled)
	_, err = h.Fork()
	require.ErrorIs(t, err, ErrShutdown)
	_, err = SetupPrimary(Settings{Policy: "fair"})
	require.EqualError(t, err, "policy fair: there are [none rr sticky]")
}

func init() {
	roles["primary"] = func(...string) error {
		_, err := SetupPrimary(Settings{})
		fmt.Println(err)
		return hang()
	}
}
