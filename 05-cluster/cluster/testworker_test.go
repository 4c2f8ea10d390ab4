package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"playing-with-processes/internal/ipc"
	"playing-with-processes/internal/restart"
)

// raw is a worker that writes what it likes.
type testWorker struct{ *ipc.Channel }

// joinCluster joins the cluster.
func joinCluster() (testWorker, error) {
	channel, err := ipc.Config{Cluster: true}.Parent()
	if err != nil {
		return testWorker{}, err
	}
	w := testWorker{channel}
	return w, w.tell(map[string]any{"cmd": command, "act": actOnline, "seq": 0})
}

// joinAndListen joins the cluster and listens on any free port of loopback.
func joinAndListen() (w testWorker, key string, err error) {
	if w, err = joinCluster(); err != nil {
		return w, "", err
	}
	query := map[string]any{"cmd": command, "act": actQuery, "seq": 1, "index": 0, "data": nil,
		"address": "127.0.0.1", "port": 0, "addressType": 4}
	if err := w.tell(query); err != nil {
		return w, "", err
	}
	reply, _, err := w.next()
	if err == nil && reply.Sockname == nil {
		err = errors.New("no leave to listen")
	}
	if err != nil {
		return w, "", err
	}
	query["act"], query["seq"], query["port"] = actListening, 2, reply.Sockname.Port
	return w, reply.Key, w.tell(query)
}

func (w testWorker) tell(v any) error { return w.Send(context.Background(), v) }

// next is the primary's next message.
func (w testWorker) next() (message, ipc.Message, error) {
	for raw, err := range w.Messages() {
		var m message
		if err == nil {
			err = raw.Decode(&m)
		}
		return m, raw, err
	}
	return message{}, ipc.Message{}, io.EOF
}

// newconn waits for a connection, and returns its number.
func (w testWorker) newconn() (seq int64) {
	for {
		m, raw, err := w.next()
		if errors.Is(err, io.EOF) || m.Act == actConnection {
			raw.Close()
			return m.Seq
		}
	}
}

func (w testWorker) answerConn(seq int64, accepted bool) error {
	return w.tell(map[string]any{"cmd": command, "seq": 3, "ack": seq, "accepted": accepted})
}

func (w testWorker) write(line string) error { return w.tell(json.RawMessage(line)) }

// patient is a policy whose limits nobody meets: it is not the brake that is tried.
func patient() restart.Policy {
	policy := restart.Default(0)
	policy.Restarts, policy.MaxPause = 10_000, time.Millisecond
	return policy
}

// forever does not return. The runtime would take an empty select for a deadlock, where
// nothing else goes on.
func forever() error {
	for {
		time.Sleep(time.Hour)
	}
}
