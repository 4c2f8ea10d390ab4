package cluster

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// pendingConn is a connection between the primary's newconn and the worker's accepted. The
// primary keeps its copy meanwhile; Node's does not, so the client of a dead worker hangs.
type pendingConn struct {
	conn   connFD
	client netip.AddrPort // if Settings.Handover is set
	from   *dispatcher
	to     *taker
	age    int // in ticks
}

// sendPending sends the worker a connection. It belongs to the worker once the worker has answered.
func (w *Worker) sendPending(c *pendingConn) {
	m := w.number(message{Act: actConnection, Key: c.from.port.key})
	w.pending[m.Seq] = c
	c.client = w.primary.clientOf(c.conn)
	w.primary.observe(Given, w, c.client)
	if w.sendConn(m, c.conn) != nil {
		w.connAnswered(m.Seq, false)
	}
}

// connAnswered handles the worker's answer to a connection. An answer to a connection that is
// not pending changes nothing.
func (w *Worker) connAnswered(seq int64, accepted bool) (solicited bool) {
	c := w.pending[seq]
	if c == nil {
		return false
	}
	delete(w.pending, seq)
	if !accepted {
		w.primary.observe(Refused, w, c.client)
		c.from.refuse(c.to, c.conn)
		return true
	}
	w.accepted++
	w.lastAccepted = time.Now()
	w.primary.observe(Accepted, w, c.client)
	c.conn.close() // a copy here would delay the end of stream that the worker sends
	c.from.accepted(c.to)
	return true
}

// tick ages the pending connections, and kills a worker that has left one for too long, unless its
// answer waits with its messages.
// Skipping it is not enough: a frozen worker may wake up, and then two answer one request.
func (w *Worker) tick(most int) {
	if w.stalled.Load() {
		return
	}
	for _, c := range w.pending {
		if c.age++; c.age > most {
			w.process.KillBecause(fmt.Sprintf("it has not accepted a connection for %v", w.primary.settings.AcceptTimeout))
		}
	}
}

// exited handles the end of the process. A worker writes accepted before it uses a connection.
// By now the process has ended, and what it wrote before was read and handled. So it has not
// used a connection that is still pending, which goes to another worker. If some of what it
// wrote was not read, it may have used the connection, which is reset then.
func (w *Worker) exited() {
	w.primary.mu.Lock()
	defer w.primary.mu.Unlock()
	if dropped := w.primary.mailbox.forget(w); dropped > 0 {
		w.messagesLost(dropped, ErrUnread)
	}
	for _, out := range w.unsent {
		out.close()
	}
	w.unsent = nil
	for _, seq := range slices.Sorted(maps.Keys(w.pending)) { // the oldest first
		c := w.pending[seq]
		delete(w.pending, seq)
		if w.unread {
			w.primary.observe(Reset, w, c.client)
			c.from.abandon(c.conn)
			continue
		}
		w.returned++
		w.primary.observe(Returned, w, c.client)
		c.from.requeue(c.conn)
	}
}
