package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"playing-with-processes/internal/ipc"
	"playing-with-processes/internal/restart"
)

// testWorker is a worker that writes the protocol itself.
type testWorker struct{ *ipc.Channel }

// joinCluster joins the cluster.
func joinCluster() (testWorker, error) {
	channel, err := ipc.Config{Cluster: true}.Parent()
	if err != nil {
		return testWorker{}, err
	}
	w := testWorker{channel}
	return w, w.send(map[string]any{"cmd": command, "act": actOnline, "seq": 0})
}

// joinAndListen joins the cluster and listens on any free port of loopback.
func joinAndListen() (w testWorker, key string, err error) {
	if w, err = joinCluster(); err != nil {
		return w, "", err
	}
	query := map[string]any{"cmd": command, "act": actQuery, "seq": 1, "index": 0, "data": nil,
		"address": "127.0.0.1", "port": 0, "addressType": 4}
	if err := w.send(query); err != nil {
		return w, "", err
	}
	reply, _, err := w.receive()
	if err == nil && reply.Sockname == nil {
		err = errors.New("not allowed to listen")
	}
	if err != nil {
		return w, "", err
	}
	query["act"], query["seq"], query["port"] = actListening, 2, reply.Sockname.Port
	return w, reply.Key, w.send(query)
}

func (w testWorker) send(v any) error {
	return w.Send(context.Background(), ipc.ClusterMessage{Message: v})
}

// receive returns the primary's next message.
func (w testWorker) receive() (message, ipc.Message, error) {
	for raw, err := range w.Messages() {
		var m message
		if err == nil {
			err = raw.Decode(&m)
		}
		return m, raw, err
	}
	return message{}, ipc.Message{}, io.EOF
}

// awaitConn waits for a connection, and returns the seq of its message.
func (w testWorker) awaitConn() (seq int64) {
	for {
		m, raw, err := w.receive()
		if errors.Is(err, io.EOF) || m.Act == actConnection {
			raw.Close()
			return m.Seq
		}
	}
}

func (w testWorker) answerConn(seq int64, accepted bool) error {
	return w.send(map[string]any{"cmd": command, "seq": 3, "ack": seq, "accepted": accepted})
}

// sendLine sends a line of the protocol, or another one.
func (w testWorker) sendLine(line string) error {
	if strings.Contains(line, command) {
		return w.send(json.RawMessage(line))
	}
	return w.Send(context.Background(), json.RawMessage(line))
}

// restartAtOnce is a policy that starts failed workers again at once, however many fail.
func restartAtOnce() *restart.Policy {
	policy := restart.Default(0)
	policy.Restarts, policy.MaxPause = 10_000, time.Millisecond
	return &policy
}

// hang does not return. If nothing else went on, the runtime would take an empty select
// for a deadlock.
func hang() error {
	for {
		time.Sleep(time.Hour)
	}
}

func init() {
	roles["delayed"] = func(...string) error {
		proceed := make(chan os.Signal, 1)
		signal.Notify(proceed, syscall.SIGUSR1)
		if _, err := self(); err != nil {
			return err
		}
		fmt.Println("delayed", os.Getpid())
		select {
		case <-proceed:
			return roles["http"]("tcp", "127.0.0.1:0")
		case <-Leaving():
			return nil
		}
	}
	roles["fails"] = func(...string) error { return errors.New("no licence") }
	roles["joins only"] = func(...string) error {
		if _, err := joinCluster(); err != nil {
			return err
		}
		return hang()
	}
	roles["leaves first"] = func(...string) error {
		w, err := joinCluster()
		if err != nil {
			return err
		}
		if err := w.send(message{Cmd: command, Act: actLeave, Seq: 1}); err != nil {
			return err
		}
		_, _, err = w.receive() // the reply
		return err
	}
	roles["version"] = func(args ...string) error {
		l, err := Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		return Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, os.Getenv("VERSION"))
		}))
	}
}

// proceed lets a delayed worker listen.
func (w *Worker) proceed() { w.process.Process.Kill(syscall.SIGUSR1) }

// awaitDelayed waits for a worker that is online, and listens after proceed.
func (h *harness) awaitDelayed() *Worker {
	h.t.Helper()
	pid := h.awaitLine(`delayed (\d+)`)
	workers := h.Workers()
	return workers[slices.IndexFunc(workers, func(w *Worker) bool { return strconv.Itoa(w.Pid()) == pid })]
}
