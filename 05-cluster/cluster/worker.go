package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"
	"time"

	"playing-with-processes/internal/ipc"
	"playing-with-processes/internal/restart"
	"playing-with-processes/internal/supervise"
)

const (
	// maxOutbox is how many messages may wait for a worker that does not read. A sane
	// one has a single connection of each port, and an answer or two.
	maxOutbox = 256
	// maxPorts keeps a worker from using up the primary's descriptors.
	maxPorts = 64
	// maxData is the most that the servers of a port may share: TLS ticket keys are 96
	// bytes.
	maxData = 4 << 10
	// freeMessages that we have not waited for cost their sender a millisecond: who
	// floods us waits, and who has much to say hardly notices.
	freeMessages = 64
	// settle is how long after its last connection a worker is asked to leave: a request
	// comes right behind its connection, and Node 26 drops those on which none has come
	// when it is to leave. (Older ones, and Go's workers, wait for it.)
	settle = 100 * time.Millisecond
)

const none = -1

// Worker is a worker as the primary sees it.
type Worker struct {
	id       int
	restarts int // of workers in its place before it, and it
	primary  *Primary
	process  *supervise.Process
	outbox   chan parcel

	listening chan struct{} // closed when it does
	gone      chan struct{} // closed after its end
	end       Exit          // valid then

	// The primary's mu guards these.
	place         int // in the pool, or none if it has left that
	online, ready bool
	candidate     bool // of a reload, and has not taken over yet
	leaving       bool // on its way out, and no failure,
	asked         bool // because we said so: nobody takes its place
	leaveBy       time.Time
	disconnected  bool // there is no channel any more
	ended         bool
	unheard       bool   // we have not heard all that it has said
	why           string // we have killed it
	ports         map[string]*port
	flights       map[int64]*flight // by the seq of their message
	waited        int               // for its start, in ticks
	accepted      int               // connections, ever,
	lastAccepted  time.Time         // and then the last
}

// flight is a connection that a worker has been given, and has not accepted yet. Until
// then it is ours, too: Node's primary forgets it if the worker dies, and then the client
// waits for ever.
type flight struct {
	conn *os.File
	from *dispatcher
	age  int // in ticks
}

// parcel is a message on its way to a worker. The primary never waits for one that does
// not read.
type parcel struct {
	message message
	handle  syscall.Conn // or nil
}

// ID is the worker's number. It is never used again.
func (w *Worker) ID() int { return w.id }

// Pid is its process id.
func (w *Worker) Pid() int { return w.process.Pid() }

// Signal signals the worker and what it has started. To make it leave, use Leave.
func (w *Worker) Signal(sig syscall.Signal) { w.process.Signal(sig) }

func (w *Worker) String() string { return fmt.Sprintf("worker %d", w.id) }

// Leave asks the worker to finish what is open and to exit; who has not done so after
// Settings.DrainTimeout is killed. Nobody takes its place. It does not wait.
func (w *Worker) Leave() {
	w.primary.mu.Lock()
	defer w.primary.mu.Unlock()
	w.leave()
}

// leave, as everything below but for the goroutines, is for who has the primary's mu.
func (w *Worker) leave() {
	if w.asked || w.ended {
		return
	}
	w.asked = true
	if !w.leaving {
		w.leaving = true
		w.leavePorts()
		w.leaveBy = time.Now().Add(w.primary.settings.DrainTimeout)
		w.farewell()
	}
	w.resign()
}

// farewell asks the worker to leave, once it has settled with whom it was given, but not
// so late that no time is left to finish.
func (w *Worker) farewell() {
	patience := time.Until(w.leaveBy)
	busy := len(w.flights) > 0 || time.Since(w.lastAccepted) < settle
	if busy && !w.disconnected && patience > w.primary.settings.DrainTimeout/2 {
		time.AfterFunc(settle, func() {
			w.primary.mu.Lock()
			defer w.primary.mu.Unlock()
			w.farewell()
		})
		return
	}
	patience = max(patience, w.primary.settings.DrainTimeout/2) // this process may have been stopped
	w.post(message{Act: actDisconnect, Within: patience.Milliseconds()}, nil)
	w.seeOff(patience)
}

// seeOff sees to its end.
func (w *Worker) seeOff(patience time.Duration) {
	go w.process.Stop(func(context.Context) { w.process.Voice.Release() }, patience)
}

// resign gives up its place, in which nobody follows.
func (w *Worker) resign() {
	w.primary.pool.Ended(w.place, restart.Asked, time.Now())
	w.place = none
	w.primary.replace() // others may be due earlier now
}

// listen is a goroutine that handles what the worker says, and then its end.
func (w *Worker) listen() {
	var last error
	unawaited := 0
	for message, err := range w.process.Messages() {
		if err != nil || !w.heard(message) {
			unawaited++
		}
		if unawaited == freeMessages {
			unawaited = 0
			w.process.EndsWithin(time.Millisecond)
		}
		last = err
	}
	w.cutOff(last)
	// It may have closed its channel only, to finish what is open.
	if !w.process.EndsWithin(w.primary.settings.DrainTimeout) {
		w.process.Insist()
	}
	w.exited()
}

// heard handles one message, and reports whether we have waited for it.
func (w *Worker) heard(raw ipc.Message) (awaited bool) {
	raw.Close() // a handle in it is not for us
	var m message
	if raw.Decode(&m) != nil || m.Cmd != command {
		return false
	}
	p := w.primary
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case m.Ack != nil:
		return w.judged(*m.Ack, m.Accepted != nil && *m.Accepted)
	case m.Act == actOnline && !w.online:
		w.online = true
		p.tell(Online{w})
	case m.Act == actQuery && m.Where != nil:
		w.answer(m)
	case m.Act == actListening && m.Where != nil:
		w.listens(*m.Where)
	case m.Act == actClose:
		w.closes(m.Key)
	case m.Act == actLeave:
		w.announced(m.Seq)
	}
	return false
}

// answer lets the worker listen, or says why not. One that is to leave, or will be, is not
// answered, as with Node.
func (w *Worker) answer(m message) {
	if w.leaving || w.primary.closing {
		return
	}
	reply := message{Ack: &m.Seq, Key: m.Where.key(), Data: null}
	pt, errno := w.primary.port(w, *m.Where, m.Data)
	if errno != 0 {
		reply.Errno = strconv.AppendInt(nil, -int64(errno), 10)
		w.post(reply, nil)
		return
	}
	w.ports[pt.key] = pt
	if pt.data != nil {
		reply.Data = pt.data
	}
	pt.join(w, reply)
}

// listens is the first time when the worker is ready, and then one more server in it.
func (w *Worker) listens(q query) {
	if w.leaving {
		return
	}
	if !w.ready {
		w.ready = true
		close(w.listening)
		w.primary.pool.Ready(w.place, time.Now())
		w.primary.replace() // may have to ask earlier now
		time.AfterFunc(w.primary.settings.Restart.StableAfter, w.held)
	}
	w.primary.tell(Listening{w, q.String()})
}

// held lets a worker speak again that has not failed as its predecessor did.
func (w *Worker) held() {
	if !w.process.EndsWithin(0) {
		w.process.Voice.Release()
	}
}

// closes is the end of one of its servers. The last one to close its own releases the
// port, as in Node; but not one that is leaving, which has no ports any more. (A Node worker
// that leaves by itself says so only after it has closed: if it is alone, the port is closed
// for a moment.)
func (w *Worker) closes(key string) {
	pt := w.ports[key]
	if pt == nil {
		return
	}
	delete(w.ports, key)
	pt.leave(w)
	if len(pt.members) == 0 {
		pt.release()
	}
}

func (w *Worker) leavePorts() {
	for key, pt := range w.ports {
		delete(w.ports, key)
		pt.leave(w)
	}
}

// announced is a worker that leaves by itself. Nothing has failed: somebody takes its
// place, as if it had sent the retire notice of chapter 04.
func (w *Worker) announced(seq int64) {
	patience := w.primary.settings.DrainTimeout
	w.post(message{Ack: &seq, Within: patience.Milliseconds()}, nil)
	if w.leaving {
		return
	}
	w.leaving = true
	w.leavePorts()
	w.seeOff(patience)
	if !w.candidate { // which has no place to give up yet
		w.primary.pool.Retire(w.place, time.Now())
		w.place = none
	}
	w.resign()
}

// give hands the worker a connection, and returns the number of that.
func (w *Worker) give(conn *os.File, from *dispatcher) (seq int64) {
	seq = w.post(message{Act: actConnection, Key: from.port.key}, conn)
	w.flights[seq] = &flight{conn: conn, from: from}
	return seq
}

// judged is the worker's word on a connection. One that says it twice, or of nothing
// that it has, changes nothing.
func (w *Worker) judged(seq int64, accepted bool) bool {
	f := w.flights[seq]
	if f == nil {
		return false
	}
	delete(w.flights, seq)
	if accepted {
		w.accepted++
		w.lastAccepted = time.Now()
		w.primary.onAccept(w, f.conn)
		f.conn.Close() // a copy here would hold back the end that the worker gives it
		f.from.accepted(w)
	} else {
		f.from.refused(w, f.conn)
	}
	return true
}

// age makes the connections that the worker has not accepted older, and ends a worker
// that has one for too long. It is never passed over: two would answer one request.
func (w *Worker) age(most int) {
	for _, f := range w.flights {
		if f.age++; f.age > most {
			w.kill(fmt.Sprintf("it has not accepted a connection for %v", w.primary.settings.AcceptTimeout))
		}
	}
}

// late ends a worker that has not joined the cluster in so many ticks: it must have
// frozen. A candidate is the reload's matter.
func (w *Worker) late(most int) {
	if w.waited++; w.waited > most && !w.online && !w.leaving && !w.candidate {
		w.kill(fmt.Sprintf("it has not joined the cluster within %v", w.primary.settings.ReadyTimeout))
	}
}

func (w *Worker) kill(why string) {
	if w.why == "" {
		w.why = why
		w.process.Signal(syscall.SIGKILL)
	}
}

// post sends a message, with a handle or nil, without waiting. It returns its number.
func (w *Worker) post(m message, handle syscall.Conn) (seq int64) {
	m.Cmd, m.Seq = command, w.primary.seq
	w.primary.seq++
	if w.ended {
		return m.Seq
	}
	select {
	case w.outbox <- parcel{m, handle}:
	default:
		w.kill("it does not read its channel")
	}
	return m.Seq
}

// deliver is a goroutine that writes to the worker.
func (w *Worker) deliver() {
	for parcel := range w.outbox {
		if parcel.handle == nil {
			w.process.Send(context.Background(), parcel.message)
			continue
		}
		err := w.process.SendHandle(context.Background(), parcel.message, parcel.handle)
		if err != nil && !errors.Is(err, ipc.ErrClosed) { // it has not got it: one of us is short of descriptors
			w.primary.mu.Lock()
			w.judged(parcel.message.Seq, false)
			w.primary.mu.Unlock()
		}
	}
}

// cutOff is the end of the channel. All that the worker had said has been heard, or
// else the last error is why the channel was ended from here, and no message that got lost.
func (w *Worker) cutOff(last error) {
	w.primary.mu.Lock()
	defer w.primary.mu.Unlock()
	w.disconnected = true
	if last != nil && !errors.Is(last, io.ErrUnexpectedEOF) && !errors.Is(last, ipc.ErrHandleLost) {
		w.unheard = true
		w.kill("its channel had to be closed: " + last.Error())
	}
	w.leavePorts()
	w.primary.tell(Disconnect{w})
}

// exited is the end of the process, after that of the channel. Nobody can accept any
// more what it has not: that goes to the others.
func (w *Worker) exited() {
	p := w.primary
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.workers, w.id)
	w.ended = true
	close(w.outbox)
	w.end = w.epitaph()
	close(w.gone)
	for _, f := range w.flights {
		if w.unheard { // it may have accepted it
			f.from.lost(f.conn)
		} else {
			f.from.back(f.conn)
		}
	}
	p.tell(w.end)
	switch {
	case w.leaving:
	case w.candidate:
		w.resign()
	default:
		p.reload.failure(w)
		p.failed(w.place, w.end.Reason, w.end.String())
	}
	p.replace()
}

// epitaph is how the worker has ended.
func (w *Worker) epitaph() Exit {
	e := Exit{
		Worker:          w,
		Exit:            w.process.Exit(),
		AfterDisconnect: w.leaving,
		Reason:          restart.ReasonFor(w.ready, w.process.Exit()),
		Why:             cmp.Or(w.why, w.process.Complaint()),
	}
	if !w.unheard {
		e.Returned = len(w.flights)
	}
	return e
}
