package cluster

import (
	"context"
	"fmt"
	"iter"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
	"playing-with-processes/internal/demo"
	"playing-with-processes/internal/ipc"
)

// Under load, no message may be lost or overtake another one, in either direction, and no request
// may fail.
func TestMessagesUnderLoad(t *testing.T) {
	messages := fmt.Sprint(clitest.Times(20_000, 100_000))
	clitest.Each(t, "node", func(t *testing.T, worker string) {
		if worker == "" {
			exchange(t, "go", "counts", messages)
		} else {
			exchange(t, "node", "testdata/counts.js", messages)
		}
	})
}

func exchange(t *testing.T, words ...string) {
	t.Helper()
	messages, err := strconv.Atoi(words[len(words)-1])
	require.NoError(t, err)
	h := startPrimary(t, Settings{}, words...)
	workers, address := h.fork(2)
	clients := demo.Start(t.Context(), demo.Load{Address: address, Clients: 4, Rest: demo.Rest})
	ctx := clitest.Context(t)
	var sending sync.WaitGroup
	for _, w := range workers {
		sending.Go(func() {
			for i := range messages {
				if err := w.Send(ctx, i); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	counts, done := map[*Worker]int{}, 0
	for w, message := range h.Messages() {
		if string(message.Data) == `"all"` { // the worker has received all of ours
			if done++; done == len(workers) {
				break
			}
			continue
		}
		require.Equal(t, fmt.Sprint(counts[w]), string(message.Data))
		counts[w]++
	}
	sending.Wait()
	for _, w := range workers {
		require.Equal(t, messages, counts[w])
	}
	require.Empty(t, clients.Stop().Failures)
	require.Empty(t, received[MessageLost](h))
}

func init() {
	// counts sends the numbers from 0, receives as many, and says so.
	roles["counts"] = func(args ...string) error {
		var messages int
		fmt.Sscan(args[0], &messages)
		go func() {
			ctx := context.Background()
			var sending sync.WaitGroup
			sending.Go(func() {
				for i := range messages {
					Send(ctx, i)
				}
			})
			next := 0
			for message, err := range Messages() {
				if err != nil || string(message.Data) != fmt.Sprint(next) {
					fmt.Fprintln(os.Stderr, "instead of", next, "came", string(message.Data), err)
					os.Exit(1)
				}
				if next++; next == messages {
					break
				}
			}
			sending.Wait()
			Send(ctx, "all")
		}()
		return roles["http"]("tcp", "127.0.0.1:0")
	}
}

// A worker that sends too much, or too long messages, must not be killed for it, and must harm no
// other: all are served, and the others are heard.
func TestHostileMessages(t *testing.T) {
	for name, lost := range map[string]error{"floods": ErrUnread, "long": ipc.ErrSkipped} {
		for _, loop := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, loop %t", name, loop), func(t *testing.T) {
				t.Parallel()
				h, setCommand := startChanging(t, Settings{}, "go", "messages", name, fmt.Sprint(clitest.Times(8<<20, 64<<20)))
				bad, _ := h.fork(1)
				setCommand("go", "messages", "hello")
				good, address := h.fork(1)
				if loop {
					heard := make(chan *Worker)
					go func() {
						for w := range h.Messages() {
							heard <- w
						}
						close(heard)
					}()
					for w := <-heard; w != good[0]; w = <-heard {
					}
					go func() {
						for range heard {
						}
					}()
				}
				for answered := map[string]bool{}; len(answered) < 2; {
					answered[get(t, "tcp", address)] = true
				}
				if !loop || lost == ipc.ErrSkipped {
					require.ErrorIs(t, await(h, func(e MessageLost) bool { return e.Worker == bad[0] }).Err, lost)
				}
				require.Equal(t, []int{1, 2}, h.ids())
			})
		}
	}
}

// A worker that reads nothing must hold up a send only until its context ends, and no other worker.
func TestMessagesToWorkerThatReadsNothing(t *testing.T) {
	t.Parallel()
	h, setCommand := startChanging(t, Settings{}, "go", "messages", "reads nothing")
	bad, err := h.Fork()
	require.NoError(t, err)
	await(h, func(Online) bool { return true })
	setCommand("go", "talk")
	good, err := h.Fork()
	require.NoError(t, err)
	next, stop := iter.Pull2(h.Messages())
	defer stop()
	next()
	moment := clitest.Enough(t, 20)
	for err == nil { // until its socket is full
		ctx, cancel := context.WithCancel(t.Context())
		sent := make(chan error, 1)
		go func() { sent <- h.Broadcast(ctx, strings.Repeat("x", 4096)) }()
		from, _, _ := next()
		require.Same(t, good, from)
		select {
		case err = <-sent:
		case <-time.After(moment):
			cancel()
			err = <-sent
		}
		cancel()
	}
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, []int{1, 2}, h.ids())
	for _, w := range []*Worker{bad, good} { // they would not leave
		w.Signal(syscall.SIGKILL)
	}
}

func init() {
	roles["messages"] = func(args ...string) error {
		ctx := context.Background()
		switch args[0] {
		case "floods":
			go func() {
				for Send(ctx, "flood") == nil {
				}
			}()
		case "long":
			length, _ := strconv.Atoi(args[1])
			go Send(ctx, strings.Repeat("x", length-len(`""`)))
		case "hello":
			Send(ctx, "hello")
		case "reads nothing":
			if _, err := joinCluster(); err != nil {
				return err
			}
			time.Sleep(time.Hour)
		}
		return roles["http"]("tcp", "127.0.0.1:0")
	}
}

// Handles that nothing takes must not use up the primary's descriptors, and what is kept must
// arrive.
func TestUnreadHandles(t *testing.T) {
	t.Parallel()
	h := startPrimary(t, Settings{}, "go", "sends handles", "300")
	h.Fork()
	h.awaitLine("all sent")
	for range maxUnreadHandles {
		for _, message := range h.Messages() {
			require.Equal(t, KindListener, message.Kind())
			require.NoError(t, message.Close())
			break
		}
	}
	require.Equal(t, 300-maxUnreadHandles, h.Status().Workers[0].LostMessages)
}

func init() {
	roles["sends handles"] = func(args ...string) error {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		n, _ := strconv.Atoi(args[0])
		for range n {
			if err := SendHandle(context.Background(), "a listener", l.(*net.TCPListener)); err != nil {
				return err
			}
		}
		fmt.Println("all sent")
		<-Leaving()
		return nil
	}
}

// A message that is too long for Settings.MaxMessage must be an error at the sender.
func TestLongMessage(t *testing.T) {
	t.Parallel()
	h := startPrimary(t, Settings{MaxMessage: 100_000}, goHTTP...)
	workers, _ := h.fork(1)
	require.NoError(t, workers[0].Send(t.Context(), strings.Repeat("x", 99_000)))
	require.ErrorIs(t, workers[0].Send(t.Context(), strings.Repeat("x", 100_000)), ipc.ErrLineTooLong)
}

// The messages of the protocol are the module's own: a program must not send one.
func TestReservedMessages(t *testing.T) {
	t.Parallel()
	h := startPrimary(t, Settings{}, goHTTP...)
	workers, address := h.fork(1)
	for _, cmd := range []string{"NODE_CLUSTER", "NODE_HANDLE"} {
		err := h.Broadcast(t.Context(), map[string]any{"cmd": cmd, "act": actDisconnect})
		require.ErrorIs(t, err, ipc.ErrReserved)
	}
	require.Equal(t, workers[0].String(), get(t, "tcp", address))
}

// Broadcast must reach every worker, Go's and Node's, and fail for none that has ended.
func TestBroadcast(t *testing.T) {
	clitest.NeedNode(t)
	t.Parallel()
	h, setCommand := startChanging(t, Settings{}, "go", "talk")
	h.Fork()
	setCommand("node", "testdata/talk.js")
	h.Fork()
	heard := map[*Worker]bool{}
	for w := range h.Messages() {
		if heard[w] = true; len(heard) == 2 {
			break
		}
	}
	require.NoError(t, h.Broadcast(t.Context(), "hello"))
	heard = map[*Worker]bool{}
	for w, message := range h.Messages() {
		require.JSONEq(t, `{"back":"hello"}`, string(message.Data))
		if heard[w] = true; len(heard) == 2 {
			break
		}
	}
	for _, w := range h.Workers() {
		w.Signal(syscall.SIGKILL)
		h.exitOf(w)
		require.NoError(t, h.Broadcast(t.Context(), "hello"))
	}
}

// In a process that is no worker, there is nothing to talk to.
func TestNoWorker(t *testing.T) {
	require.ErrorIs(t, Send(t.Context(), 1), ErrNotWorker)
	require.ErrorIs(t, SendHandle(t.Context(), 1, nil), ErrNotWorker)
	require.Zero(t, WorkerID())
	require.Equal(t, NoSlot, Slot())
	for range Messages() {
		require.Fail(t, "no message can come")
	}
}

// Each worker may have an environment of its own, which its replacement has as well. With a Go
// primary it depends on the slot.
func TestEnvironmentOfItsOwn(t *testing.T) {
	t.Parallel()
	var h *harness
	h = startPrimary(t, Settings{Restart: restartAtOnce(), Command: func(id, slot int) *exec.Cmd {
		cmd := h.workerCommand("go", "environment")
		cmd.Env = append(cmd.Env, fmt.Sprintf("NAME=%d in %d", id, slot))
		return cmd
	}})
	for range 2 {
		_, err := h.Fork()
		require.NoError(t, err)
	}
	got, workers := map[string]bool{}, []*Worker{}
	for w, message := range h.Messages() {
		got[string(message.Data)] = true
		if workers = append(workers, w); len(workers) == 2 {
			break
		}
	}
	require.Equal(t, map[string]bool{
		`{"name":"1 in 0","id":1,"slot":0,"instance":"0"}`: true,
		`{"name":"2 in 1","id":2,"slot":1,"instance":"1"}`: true,
	}, got)
	killed := workers[0]
	slot := killed.Slot()
	killed.Signal(syscall.SIGKILL)
	for w, message := range h.Messages() {
		require.Equal(t, fmt.Sprintf(`{"name":"3 in %d","id":3,"slot":%d,"instance":"%d"}`, slot, slot, slot), string(message.Data))
		require.Equal(t, slot, w.Slot())
		break
	}
}

func init() {
	roles["environment"] = func(...string) error {
		err := Send(context.Background(), struct {
			Name     string `json:"name"`
			ID       int    `json:"id"`
			Slot     int    `json:"slot"`
			Instance string `json:"instance"`
		}{os.Getenv("NAME"), WorkerID(), Slot(), os.Getenv("NODE_APP_INSTANCE")})
		<-Leaving()
		return err
	}
}
