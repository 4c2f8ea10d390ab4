package cluster

import (
	"context"
	"errors"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"playing-with-processes/internal/ipc"
)

// maxUnsent is how many messages may wait for a worker that does not read. To a worker that reads,
// at most maxPending connections of each port are on the way, and a few replies.
const maxUnsent = maxPorts * maxPending

// outgoing is a message to a worker, with a handle or nil.
type outgoing struct {
	message message
	handle  syscall.Conn
	close   func() // called once it is sent
}

func (o outgoing) seal() ipc.ClusterMessage { return ipc.ClusterMessage{Message: o.message} }

// number numbers a message. The caller holds the primary's mu, as for the methods below.
func (w *Worker) number(m message) message {
	m.Cmd, m.Seq = command, w.primary.seq
	w.primary.seq++
	return m
}

// enqueue numbers a message and sends it, with a handle or nil. It never waits: what cannot leave
// now is left to writeLoop.
func (w *Worker) enqueue(m message, handle syscall.Conn) {
	out := outgoing{message: w.number(m), handle: handle, close: func() {}}
	if len(w.unsent) == 0 && handle == nil {
		if sent, err := w.process.TrySend(out.seal()); sent || err != nil {
			return // an error is the end of the channel, or an address that is too long for a reply
		}
	}
	w.sendLater(out)
}

// sendConn sends a numbered message with a connection, as enqueue does. An error means that this
// process is short of descriptors, or has too many on the way.
func (w *Worker) sendConn(m message, conn connFD) error {
	out := outgoing{message: m}
	if len(w.unsent) == 0 {
		sent, err := w.process.TrySendConn(out.seal(), int(conn), func() { w.reportLost(m) })
		switch {
		case sent || errors.Is(err, ipc.ErrClosed): // exited takes it back
			return nil
		case err != nil:
			return err
		}
	}
	file, err := conn.file() // writeLoop may wait while the connection is closed here
	if err != nil {
		return err
	}
	out.handle, out.close = file, func() { file.Close() }
	w.sendLater(out)
	return nil
}

// sendLater leaves a message to writeLoop. A worker that does not read is killed.
func (w *Worker) sendLater(out outgoing) {
	if len(w.unsent) == maxUnsent {
		w.process.KillBecause("it does not read its channel")
		out.close()
		return
	}
	w.unsent = append(w.unsent, out)
	select {
	case w.more <- struct{}{}:
	default: // it has been told already
	}
}

// writeLoop is a goroutine that writes what had to wait, until the worker's process has ended.
func (w *Worker) writeLoop() {
	for {
		select {
		case <-w.more:
			for out, ok := w.nextUnsent(); ok; out, ok = w.nextUnsent() {
				w.write(out)
				w.removeUnsent()
			}
		case <-w.process.Done():
			return
		}
	}
}

// nextUnsent returns the oldest message that waits. It stays the first until it is written, so that
// no other message overtakes it.
func (w *Worker) nextUnsent() (out outgoing, ok bool) {
	w.primary.mu.Lock()
	defer w.primary.mu.Unlock()
	if len(w.unsent) == 0 {
		return out, false
	}
	return w.unsent[0], true
}

func (w *Worker) removeUnsent() {
	w.primary.mu.Lock()
	defer w.primary.mu.Unlock()
	if len(w.unsent) > 0 { // else the worker has ended
		w.unsent[0].close()
		w.unsent = slices.Delete(w.unsent, 0, 1)
	}
}

func (w *Worker) write(out outgoing) {
	if out.handle == nil {
		w.process.Send(context.Background(), out.seal())
		return
	}
	err := w.process.SendHandle(context.Background(), out.seal(), out.handle)
	if err != nil && !errors.Is(err, ipc.ErrClosed) {
		w.reportLost(out.message)
	}
}

// reportLost is handleLost for a caller that does not hold the primary's mu.
func (w *Worker) reportLost(m message) {
	w.primary.mu.Lock()
	defer w.primary.mu.Unlock()
	w.handleLost(m)
}

// handleLost handles a message whose handle has not arrived, because one side is short of
// descriptors: another worker gets the connection, or the query gets an error.
func (w *Worker) handleLost(m message) {
	if m.Ack == nil {
		w.connAnswered(m.Seq, false)
		return
	}
	w.closePort(m.Key)
	m.Errno = errnoOf(unix.EMFILE)
	w.enqueue(m, nil)
}
