package cluster

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Each state of a worker is told.
func TestStatusStates(t *testing.T) {
	t.Parallel()
	r, next := startChanging(t, Settings{DrainTimeout: patience}, "sleep", "60")
	for _, words := range [][]string{
		{"sleep", "60"}, {"go", "late"}, {"go", "has closed"}, goHTTP, {"go", "hostile", "never accepts"}, {"go", "cuts off"},
	} {
		next(words...)
		_, err := r.Fork()
		require.NoError(t, err)
	}
	r.listeningOf(r.Workers()[2]) // and does not any more
	stubborn := r.Workers()[4]
	r.listeningOf(stubborn)
	stubborn.Leave()
	r.requireTruth(5, nil, "starting", "online", "online", "listening", "leaving", "disconnected")
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // some of them do not leave
	require.ErrorIs(t, r.Shutdown(ctx), context.Canceled)
	r.requireTruth(0, nil)
}

func init() {
	roles["has closed"] = func(...string) error {
		w, key, err := joinAndListen()
		if err != nil {
			return err
		}
		w.tell(message{Cmd: command, Act: actClose, Key: key})
		return forever()
	}
	roles["cuts off"] = func(...string) error {
		w, err := joinCluster()
		if err != nil {
			return err
		}
		w.Disconnect()
		return forever()
	}
}

// Where the primary hands out connections it knows who has accepted how many, and has one
// that it has not accepted.
func TestStatusConnections(t *testing.T) {
	each(t, func(t *testing.T, worker []string) {
		r, next := startChanging(t, Settings{AcceptTimeout: patience}, worker...)
		workers, address := r.fork(1)
		for range 3 {
			require.Equal(t, name(workers[0]), get(t, "tcp", address))
		}
		require.Eventually(t, func() bool { // the answer may be faster than the news of it
			status := r.Status().Workers[0]
			return *status.Accepted == 3 && *status.Pending == 0
		}, patience, time.Millisecond)
		next("go", "hostile", "never accepts")
		stubborn, _ := r.fork(1)
		require.Eventually(t, func() bool {
			dial(t, "tcp", address)
			return *r.Status().Workers[1].Pending == 1
		}, patience, time.Millisecond)
		require.Zero(t, *r.Status().Workers[1].Accepted)
		r.requireTruth(2, nil, listening(2)...)
		stubborn[0].Signal(syscall.SIGKILL)
	})
}

// Where the kernel does, nobody knows.
func TestStatusConnectionsUnknown(t *testing.T) {
	t.Parallel()
	r := startPrimary(t, Settings{Policy: None}, goHTTP...)
	_, address := r.fork(1)
	require.Contains(t, get(t, "tcp", address), "worker")
	status := r.Status()
	require.Equal(t, None, status.Policy)
	require.Nil(t, status.Workers[0].Accepted)
	require.Nil(t, status.Workers[0].Pending)
	r.requireTruth(1, nil, "listening")
}

// Who was turned away is counted, for good.
func TestStatusReset(t *testing.T) {
	t.Parallel()
	r := startPrimary(t, Settings{AcceptTimeout: 100 * time.Millisecond, QueueTimeout: 200 * time.Millisecond}, goHTTP...)
	_, address := r.fork(1)
	require.NoError(t, r.Scale(0))
	r.requireTruth(0, nil)
	for range 3 {
		conn, err := net.Dial("tcp", address)
		if err == nil { // or it was too late already
			_, err = conn.Read(make([]byte, 1))
			conn.Close()
		}
		require.ErrorIs(t, err, syscall.ECONNRESET)
	}
	require.Equal(t, 3, r.Status().Reset)
	require.Zero(t, r.Status().Waiting)
	r.fork(1)
	require.Equal(t, 3, r.Status().Reset)
	r.requireTruth(1, nil, "listening")
}

// Restarts are those of a place after failures, and a reload clears places.
func TestStatusRestarts(t *testing.T) {
	t.Parallel()
	policy := patient()
	begun := time.Now()
	r := startPrimary(t, Settings{Restart: &policy}, goHTTP...)
	workers, _ := r.fork(2)
	for restarts := range 3 {
		require.Equal(t, restarts, r.restartsOf(workers[0]))
		require.Zero(t, r.restartsOf(workers[1]))
		workers[0].Signal(syscall.SIGKILL)
		r.exitOf(workers[0])
		workers[0] = await(r, func(Listening) bool { return true }).Worker
	}
	r.requireTruth(2, nil, listening(2)...)
	for _, s := range r.Status().Workers {
		require.WithinRange(t, s.Started, begun, time.Now())
	}
	require.NoError(t, r.Reload(t.Context()))
	for _, w := range r.Workers() {
		require.Zero(t, r.restartsOf(w))
	}
	r.requireTruth(2, done(2), listening(2)...)
}

func (r *harness) restartsOf(w *Worker) int {
	for _, s := range r.Status().Workers {
		if s.ID == w.ID() {
			return s.Restarts
		}
	}
	return -1
}

// The names in JSON are a promise to those who read it.
func TestStatusJSON(t *testing.T) {
	t.Parallel()
	r := startPrimary(t, Settings{}, goHTTP...)
	text, err := json.Marshal(r.Status())
	require.NoError(t, err)
	require.Equal(t, `{"pid":`+strconv.Itoa(os.Getpid())+`,"policy":"rr","size":0,"restarting":"on",`+
		`"waiting":0,"reset":0,"ports":[],"workers":[],"reload":null}`, string(text))
	one, two, at := 1, 2, time.Unix(0, 0).UTC()
	text, err = json.Marshal(Status{
		Ports:   []PortStatus{{"127.0.0.1:80", 3, 4}},
		Workers: []WorkerStatus{{1, 2, "online", at, 5, &one, &two, 6}, {Started: at}},
		Reload:  &ReloadStatus{State: "failed", Replaced: 7, Left: 8, Began: at, Seconds: 0.5, Error: "why"},
	})
	require.NoError(t, err)
	require.Equal(t, `{"pid":0,"policy":"","size":0,"restarting":"","waiting":0,"reset":0,`+
		`"ports":[{"address":"127.0.0.1:80","workers":3,"waiting":4}],`+
		`"workers":[{"id":1,"pid":2,"state":"online","started":"1970-01-01T00:00:00Z","restarts":5,`+
		`"accepted":1,"pending":2,"memory":6},`+
		`{"id":0,"pid":0,"state":"","started":"1970-01-01T00:00:00Z","restarts":0,"accepted":null,"pending":null}],`+
		`"reload":{"state":"failed","replaced":7,"left":8,"began":"1970-01-01T00:00:00Z","seconds":0.5,"error":"why"}}`, string(text))
}
