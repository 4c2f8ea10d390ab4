package cluster

import (
	"context"
	"encoding/json"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"playing-with-processes/internal/clitest"

	"github.com/stretchr/testify/require"
)

// The status must report each state of a worker.
func TestStatusStates(t *testing.T) {
	t.Parallel()
	h, setCommand := startChanging(t, Settings{DrainTimeout: clitest.Never}, "sleep", "60")
	for _, words := range [][]string{
		{"sleep", "60"}, {"go", "delayed"}, {"go", "closes its port"}, goHTTP, {"go", "hostile", "never accepts"}, {"go", "disconnects"},
	} {
		setCommand(words...)
		_, err := h.Fork()
		require.NoError(t, err)
	}
	h.listeningOf(h.Workers()[2]) // and closes its port then
	stubborn := h.Workers()[4]
	h.listeningOf(stubborn)
	stubborn.Leave()
	h.requireStatus(5, nil, "starting", "online", "online", "listening", "leaving", "disconnected")
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // some workers do not leave
	require.ErrorIs(t, h.Shutdown(ctx), context.Canceled)
	h.requireStatus(0, nil)
}

func init() {
	roles["closes its port"] = func(...string) error {
		w, key, err := joinAndListen()
		if err != nil {
			return err
		}
		w.send(message{Cmd: command, Act: actClose, Key: key})
		return hang()
	}
	roles["disconnects"] = func(...string) error {
		w, err := joinCluster()
		if err != nil {
			return err
		}
		w.Disconnect()
		return hang()
	}
}

// If the primary gives out the connections, the status must count those that a worker has
// accepted, and those that it was given and has not accepted.
func TestStatusConnections(t *testing.T) {
	eachWorker(t, func(t *testing.T, worker []string) {
		h, setCommand := startChanging(t, Settings{AcceptTimeout: clitest.Never}, worker...)
		workers, address := h.fork(1)
		for range 3 {
			require.Equal(t, workers[0].String(), get(t, "tcp", address))
		}
		clitest.Eventually(t, func() bool { // the client may have the answer first
			status := h.Status().Workers[0]
			return *status.Accepted == 3 && *status.Pending == 0
		})
		setCommand("go", "hostile", "never accepts")
		stubborn, _ := h.fork(1)
		clitest.Eventually(t, func() bool {
			dial(t, "tcp", address)
			return *h.Status().Workers[1].Pending == 1
		})
		require.Zero(t, *h.Status().Workers[1].Accepted)
		h.requireStatus(2, nil, allListening(2)...)
		stubborn[0].Signal(syscall.SIGKILL)
	})
}

// If the kernel gives out the connections, the status must not count them.
func TestStatusConnectionsUnknown(t *testing.T) {
	t.Parallel()
	h := startPrimary(t, Settings{Policy: None}, goHTTP...)
	_, address := h.fork(1)
	require.Contains(t, get(t, "tcp", address), "worker")
	status := h.Status()
	require.Equal(t, None, status.Policy)
	require.Nil(t, status.Workers[0].Accepted)
	require.Nil(t, status.Workers[0].Pending)
	h.requireStatus(1, nil, "listening")
}

// Connections that were reset must be counted from then on.
func TestStatusReset(t *testing.T) {
	t.Parallel()
	h := startPrimary(t, Settings{QueueTimeout: 200 * time.Millisecond}, goHTTP...)
	_, address := h.fork(1)
	require.NoError(t, h.Scale(0))
	h.requireStatus(0, nil)
	for range 3 {
		requireReset(t, address)
	}
	require.Equal(t, 3, h.Status().Reset)
	require.Zero(t, h.Status().Waiting)
	h.fork(1)
	require.Equal(t, 3, h.Status().Reset)
	h.requireStatus(1, nil, "listening")
}

// The status must count the restarts in a worker's slot. A reload starts a new count.
func TestStatusRestarts(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	h := startPrimary(t, Settings{Restart: restartAtOnce()}, goHTTP...)
	workers, _ := h.fork(2)
	for restarts := range 3 {
		require.Equal(t, restarts, h.restartsOf(workers[0]))
		require.Zero(t, h.restartsOf(workers[1]))
		workers[0].Signal(syscall.SIGKILL)
		h.exitOf(workers[0])
		workers[0] = await(h, func(Listening) bool { return true }).Worker
	}
	h.requireStatus(2, nil, allListening(2)...)
	for _, s := range h.Status().Workers {
		require.WithinRange(t, s.Started, begun, time.Now())
	}
	require.NoError(t, h.Reload(t.Context()))
	for _, w := range h.Workers() {
		require.Zero(t, h.restartsOf(w))
	}
	h.requireStatus(2, doneReload(2), allListening(2)...)
}

func (h *harness) restartsOf(w *Worker) int {
	for _, s := range h.Status().Workers {
		if s.ID == w.ID() {
			return s.Restarts
		}
	}
	return -1
}

// The names in JSON are a promise.
func TestStatusJSON(t *testing.T) {
	t.Parallel()
	h := startPrimary(t, Settings{}, goHTTP...)
	text, err := json.Marshal(h.Status())
	require.NoError(t, err)
	require.Equal(t, `{"pid":`+strconv.Itoa(os.Getpid())+`,"policy":"rr","size":0,"restarting":"on",`+
		`"waiting":0,"reset":0,"ports":[],"workers":[],"reload":null}`, string(text))
	one, two, at := 1, 2, time.Unix(0, 0).UTC()
	text, err = json.Marshal(Status{
		Ports:   []PortStatus{{"127.0.0.1:80", 3, 4}},
		Workers: []WorkerStatus{{1, 2, 3, "online", at, 5, &one, &two, 7, 6}, {Started: at}},
		Reload:  &ReloadStatus{State: "failed", Replaced: 7, Remaining: 8, Began: at, Seconds: 0.5, Error: "why"},
	})
	require.NoError(t, err)
	require.Equal(t, `{"pid":0,"policy":"","size":0,"restarting":"","waiting":0,"reset":0,`+
		`"ports":[{"address":"127.0.0.1:80","workers":3,"waiting":4}],`+
		`"workers":[{"id":1,"pid":2,"slot":3,"state":"online","started":"1970-01-01T00:00:00Z","restarts":5,`+
		`"accepted":1,"pending":2,"lostMessages":7,"memory":6},`+
		`{"id":0,"pid":0,"slot":0,"state":"","started":"1970-01-01T00:00:00Z","restarts":0,"accepted":null,"pending":null,"lostMessages":0}],`+
		`"reload":{"state":"failed","replaced":7,"remaining":8,"began":"1970-01-01T00:00:00Z","seconds":0.5,"error":"why"}}`, string(text))
}
