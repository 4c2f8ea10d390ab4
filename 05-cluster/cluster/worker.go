package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"playing-with-processes/internal/ipc"
	"playing-with-processes/internal/supervise"
)

const (
	// maxPorts keeps a worker from using up the primary's descriptors.
	maxPorts = 64
	// maxData is how much the servers of a port may share. TLS ticket keys are 96 bytes.
	maxData = 4 << 10
	// settleTime is how long after its last connection a worker is asked to leave. The
	// request follows its connection, and Node 26 drops connections without a request
	// when it is asked to leave. (Older versions, and Go workers, wait for it.)
	settleTime = 100 * time.Millisecond
)

// Worker is a worker as its primary sees it.
type Worker struct {
	primary *Primary
	process *supervise.Worker
	more    chan struct{} // signals that unsent is not empty

	// The primary's mu guards these.
	joined       bool // it has sent online
	ports        map[string]*port
	pending      map[int64]*pendingConn // by the seq of their message
	accepted     int                    // connections so far
	lastAccepted time.Time
	unread       bool       // the channel was ended before all of its messages were read
	returned     int        // connections that it had not accepted when it ended
	lost         int        // messages that Messages does not yield
	unsent       []outgoing // for writeLoop, in order

	stalled atomic.Bool // its channel is not read, because its part of the mailbox is full
}

func newWorker(p *Primary, process *supervise.Worker) *Worker {
	return &Worker{
		primary: p,
		process: process,
		more:    make(chan struct{}, 1),
		ports:   map[string]*port{},
		pending: map[int64]*pendingConn{},
	}
}

// workerOf returns the Worker of a supervised process.
func workerOf(process *supervise.Worker) *Worker { return process.Value.(*Worker) }

// ID returns the worker's number, which is never used again.
func (w *Worker) ID() int { return w.process.ID() }

// Slot returns the worker's slot: one of the numbers from 0 to the number of workers less one. No
// other process has it at the same time. The worker has it until its process has ended, and then
// its replacement has it. It is NoSlot while a worker before it still runs: in a reload, until the
// old worker has finished its requests and ended. Workers that leave free a slot for the next Fork.
func (w *Worker) Slot() int { return w.process.Slot() }

// Pid returns its process id.
func (w *Worker) Pid() int { return w.process.Pid() }

// Signal signals the worker and what it has started. To make it leave, use Leave.
func (w *Worker) Signal(sig syscall.Signal) { w.process.Signal(sig) }

// String returns what the log calls the worker: "worker" and its process id.
func (w *Worker) String() string { return w.process.String() }

// Leave asks the worker to finish its requests and to exit, within Settings.DrainTimeout.
// Nothing takes its place. Leave does not wait.
func (w *Worker) Leave() {
	w.primary.mu.Lock()
	defer w.primary.mu.Unlock()
	w.leavePorts()
	w.process.Leave()
}

// leaving reports whether the worker is about to leave.
func (w *Worker) leaving() bool { return w.process.State() >= supervise.Leaving }

// askToLeave takes the worker off its ports, and asks it to leave once it has settled: when
// it has accepted what it was given, and its last connection is not brand-new. But it asks
// early enough to leave half of the time for finishing.
func (w *Worker) askToLeave(ctx context.Context) {
	w.primary.mu.Lock()
	defer w.primary.mu.Unlock()
	half := w.primary.settings.DrainTimeout / 2
	for {
		deadline, _ := ctx.Deadline()
		patience := time.Until(deadline)
		w.leavePorts()
		settled := len(w.pending) == 0 && time.Since(w.lastAccepted) >= settleTime
		if settled || patience <= half {
			patience = max(patience, half) // this process may have been suspended
			w.enqueue(message{Act: actDisconnect, Within: patience.Milliseconds()}, nil)
			return
		}
		w.primary.mu.Unlock()
		time.Sleep(settleTime)
		w.primary.mu.Lock()
	}
}

// handleMessage handles one message, and reports whether we have waited for it.
func (w *Worker) handleMessage(raw ipc.Message) (solicited bool) {
	if !raw.Cluster {
		w.receive(raw)
		return false
	}
	var m message
	if raw.Decode(&m) != nil {
		return false
	}
	p := w.primary
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case m.Ack != nil:
		return w.connAnswered(*m.Ack, m.Accepted != nil && *m.Accepted)
	case m.Act == actOnline && !w.joined:
		w.joined = true
		w.process.MarkOnline()
		p.report(Online{w})
	case m.Act == actQuery && m.Where != nil:
		w.answerQuery(m)
	case m.Act == actListening && m.Where != nil:
		w.listening(*m.Where)
	case m.Act == actLate:
		w.acceptsLate(m.Key)
	case m.Act == actClose:
		w.closePort(m.Key)
	case m.Act == actLeave:
		w.handleLeave(m.Seq)
	}
	return false
}

// messageNotRead handles an error in the place of a message.
func (w *Worker) messageNotRead(err error) {
	if isAny(err, ipc.ErrSkipped, ipc.ErrHandleLost) {
		w.messageLost(err)
	}
}

// tellSlot tells the worker that it has its slot now. It is written at once, before any message to
// the worker in that slot.
func (w *Worker) tellSlot(slot int) {
	w.write(outgoing{message: message{Cmd: command, Act: actSlot, Slot: &slot}})
}

// answerQuery lets the worker listen, or says why not. Like Node, it does not answer a worker
// that is about to leave. The caller holds the primary's mu, as for the methods below.
func (w *Worker) answerQuery(m message) {
	if w.leaving() || w.primary.closing {
		return
	}
	reply := message{Ack: &m.Seq, Key: m.Where.key(), Data: null}
	pt, err := w.primary.port(w, *m.Where, m.Data)
	if err != nil {
		errno := syscall.EINVAL
		errors.As(err, &errno)
		reply.Errno = errnoOf(errno)
		w.enqueue(reply, nil)
		return
	}
	reply.Key = pt.key
	w.ports[pt.key] = pt
	if pt.data != nil {
		reply.Data = pt.data
	}
	pt.addWorker(w, reply)
}

// listening makes the worker ready with its first server.
func (w *Worker) listening(q query) {
	if !w.leaving() {
		w.process.MarkReady()
		w.primary.report(Listening{w, q.String()})
	}
}

// acceptsLate notes that one of the worker's servers accepts late.
func (w *Worker) acceptsLate(key string) {
	if pt := w.ports[key]; pt != nil {
		pt.scheduler.acceptsLate(w)
	}
}

// closePort handles the end of one of the worker's servers. As in Node, the last worker that
// closes its server releases the port; a worker that leaves has no ports any more. (A Node
// worker that leaves by itself says so only after it has closed: if it is the only one, the
// port is closed for a moment.)
func (w *Worker) closePort(key string) {
	pt := w.ports[key]
	if pt == nil {
		return
	}
	delete(w.ports, key)
	pt.removeWorker(w)
	if len(pt.workers) == 0 {
		pt.release()
	}
}

func (w *Worker) leavePorts() {
	for key, pt := range w.ports {
		delete(w.ports, key)
		pt.removeWorker(w)
	}
}

// handleLeave handles a worker that leaves by itself, which is no failure. It is replaced.
func (w *Worker) handleLeave(seq int64) {
	w.enqueue(message{Ack: &seq, Within: w.primary.settings.DrainTimeout.Milliseconds()}, nil)
	if !w.leaving() {
		w.leavePorts()
		w.process.MarkLeaving()
	}
}

func isAny(err error, targets ...error) bool {
	return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
}

// disconnected handles the end of the channel. If we have closed it, last says why, and it is
// unknown what else the worker had written.
func (w *Worker) disconnected(last error) {
	w.primary.mu.Lock()
	defer w.primary.mu.Unlock()
	if last != nil && !isAny(last, io.ErrUnexpectedEOF, ipc.ErrHandleLost, ipc.ErrSkipped) {
		w.unread = true
		w.process.KillBecause(fmt.Sprintf("its channel had to be closed: %v", last))
	}
	w.leavePorts()
	p, ended := w.primary, Disconnect{w, w.leaving()}
	if !p.mailbox.hasUnread(w) {
		p.report(ended)
		return
	}
	p.running.Go(func() {
		p.mailbox.awaitHandled(w)
		p.report(ended)
	})
}
