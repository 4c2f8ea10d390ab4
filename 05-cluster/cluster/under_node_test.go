package cluster

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
	"playing-with-processes/internal/drain"
)

// The replacement of a worker that was killed must have the same address.
func TestUnderNodeRestart(t *testing.T) {
	eachNodePolicy(t, func(t *testing.T, policy Policy) {
		h := startNode(t, policy, "server", "tcp", "127.0.0.1:0")
		workers, address := h.startWorkers(2)
		h.command("restart")
		for _, w := range workers {
			h.command("kill %d SIGKILL", w.ID)
			require.Equal(t, "SIGKILL", h.awaitReport("exit", w.ID).Signal)
			w = h.awaitReport("fork", 0)
			h.awaitReport("listening", w.ID)
			require.Equal(t, address, h.addressOf(w))
		}
		require.NotContains(t, answersOf(workers...), get(t, "tcp", address))
	})
}

// A worker that is asked to leave must finish its requests, and announce the end of each
// connection with an answer.
func TestUnderNodeDisconnect(t *testing.T) {
	eachNodePolicy(t, func(t *testing.T, policy Policy) {
		h := startNode(t, policy, "server", "tcp", "127.0.0.1:0")
		workers, address := h.startWorkers(1)
		slow, other := h.open(address), dial(t, "tcp", address)
		in := bufio.NewReader(other)
		isLast := func() bool {
			_, err := io.WriteString(other, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			require.NoError(t, err)
			response, err := http.ReadResponse(in, nil)
			require.NoError(t, err)
			_, err = io.ReadAll(response.Body)
			require.NoError(t, err)
			return response.Close
		}
		require.False(t, isLast())
		h.command("disconnect %d", workers[0].ID)
		for !isLast() {
		}
		require.True(t, slow.finish().Close)
		h.requireLeft(workers[0])
	})
}

// A worker must disconnect when it has finished its requests, and may clean up then for as long
// as it likes: programs kill a worker that does not disconnect soon.
func TestUnderNodeCleanUp(t *testing.T) {
	eachNodePolicy(t, func(t *testing.T, policy Policy) {
		file := filepath.Join(t.TempDir(), "clean")
		h := startNode(t, policy, "cleans up", file, "tcp", "127.0.0.1:0")
		workers, _ := h.startWorkers(1)
		h.command("disconnect %d", workers[0].ID)
		h.awaitReport("disconnect", workers[0].ID)
		require.NoFileExists(t, file, "it cleans up until the file is there")
		time.Sleep(2 * drain.OrphanTimeout) // it is no orphan
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		h.requireLeft(workers[0])
		require.NoFileExists(t, file)
	})
}

func init() {
	roles["cleans up"] = func(args ...string) error {
		if err := newWorkerServer().serve(args[1:], 0); err != nil {
			return err
		}
		for os.Remove(args[0]) != nil {
			time.Sleep(time.Millisecond)
		}
		return nil
	}
}

// A worker that leaves by itself must report that to Node first.
func TestUnderNodeLeave(t *testing.T) {
	eachNodePolicy(t, func(t *testing.T, policy Policy) {
		h := startNode(t, policy, "server", "tcp", "127.0.0.1:0")
		workers, address := h.startWorkers(1)
		slow := h.open(address)
		require.Equal(t, "<nil>", getPath(t, address, "/leave"))
		slow.finish()
		slow.Close()
		h.requireLeft(workers[0])
	})
}

// A worker that does not take its primary's messages, and so reads its channel no more, must end
// without its primary all the same.
func TestUnderNodePrimaryOfStalledWorkerKilled(t *testing.T) {
	t.Parallel()
	clitest.NeedNode(t)
	h := startNode(t, RoundRobin, "stalls")
	workers, _ := h.startWorkers(1)
	h.command("flood %d", workers[0].ID)
	h.awaitLine("stalled")
	h.kill()
	requireGone(t, workers[0])
}

func init() {
	roles["stalls"] = func(...string) error {
		go func() {
			c, _ := self()
			for range Messages() {
				for !c.mailbox.isFull() {
					time.Sleep(time.Millisecond)
				}
				fmt.Println("stalled")
				select {}
			}
		}()
		return roles["server"]("tcp", "127.0.0.1:0")
	}
}

// Without its primary a worker must end, busy or not, so that the port is free.
func TestUnderNodePrimaryKilled(t *testing.T) {
	eachNodePolicy(t, func(t *testing.T, policy Policy) {
		h := startNode(t, policy, "server", "tcp", "127.0.0.1:0")
		workers, address := h.startWorkers(2)
		h.open(address)
		h.kill()
		for _, w := range workers {
			requireGone(t, w)
		}
		l, err := net.Listen("tcp", address)
		require.NoError(t, err)
		require.NoError(t, l.Close())
	})
}

// One after the other, requests must be spread evenly, or nearly: when a client has the
// answer, Node has been sent that the connection is accepted, but it may accept the next
// connections before it reads that.
func TestUnderNodeSpread(t *testing.T) {
	t.Parallel()
	clitest.NeedNode(t)
	const requests, odd = 100, 5
	h := startNode(t, RoundRobin, "server", "tcp", "127.0.0.1:0")
	workers, address := h.startWorkers(2)
	answered := map[string]int{}
	for range requests {
		answered[get(t, "tcp", address)]++
	}
	for _, name := range answersOf(workers...) {
		require.InDelta(t, requests/2, answered[name], odd, answered)
	}
}

// A worker without room must leave a connection to the other worker. Node offers it again
// at once, and only because the worker takes its time are the two not always busy.
func TestUnderNodeFull(t *testing.T) {
	eachNodePolicy(t, func(t *testing.T, policy Policy) {
		h := startNode(t, policy, "full", "tcp", "127.0.0.1:0")
		full, address := h.startWorkers(1)
		slow := h.open(address)
		h.startWorkers(1)
		start := time.Now()
		require.NotEqual(t, answersOf(full[0])[0], get(t, "tcp", address))
		if policy == RoundRobin {
			h.awaitReport("refused", full[0].ID)
			require.GreaterOrEqual(t, time.Since(start), acceptWithin)
		}
		slow.finish()
	})
}

// If no worker has room, a connection must wait.
func TestUnderNodeAllFull(t *testing.T) {
	t.Parallel()
	clitest.NeedNode(t)
	h := startNode(t, RoundRobin, "full", "tcp", "127.0.0.1:0")
	_, address := h.startWorkers(2)
	slow := h.open(address)
	h.open(address)
	start := time.Now()
	waiting := dial(t, "tcp", address)
	require.NoError(t, sendRequest(waiting))
	for n := range 2 {
		h.awaitReport("refused", 0)
		require.GreaterOrEqual(t, time.Since(start), time.Duration(n+1)*acceptWithin)
	}
	slow.finish()
	slow.Close()
	require.NotEmpty(t, body(t, waiting))
}

// A worker of Node and a worker of Go must share one port.
func TestUnderNodeMixed(t *testing.T) {
	eachNodePolicy(t, func(t *testing.T, policy Policy) {
		h := startNode(t, policy, "server", "tcp", "127.0.0.1:0")
		ours, address := h.startWorkers(1)
		h.command("fork testdata/http.js 127.0.0.1:0")
		theirs := h.awaitReport("fork", 0)
		h.awaitReport("listening", theirs.ID)
		both := answersOf(ours[0], theirs)
		if policy == RoundRobin {
			answered := map[string]bool{}
			for range 10 {
				answered[get(t, "tcp", address)] = true
			}
			require.Len(t, answered, 2)
		}
		h.command("disconnect %d", ours[0].ID)
		h.awaitReport("exit", ours[0].ID)
		require.Equal(t, both[1], get(t, "tcp", address))
		ours, again := h.startWorkers(1)
		require.Equal(t, address, again)
		h.command("disconnect %d", theirs.ID)
		h.awaitReport("exit", theirs.ID)
		require.Equal(t, answersOf(ours[0])[0], get(t, "tcp", address))
	})
}
