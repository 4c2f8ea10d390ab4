package cluster

import (
	"slices"
	"sync"
	"time"
)

const (
	// maxPending is the largest Settings.MaxPending.
	maxPending = 16
	// stuckAfter is how long a worker may have left a connection unaccepted to get another one: a
	// worker that is busy or frozen should not collect those that others could serve.
	stuckAfter = 10 * time.Millisecond
	// refusedPause is how long a worker that refused a connection gets none, unless another
	// connection is accepted before. Node's primary offers it again at once, in a busy loop.
	refusedPause = 100 * time.Millisecond
	// acceptPause follows a passing error of accept, such as a lack of descriptors.
	acceptPause = 50 * time.Millisecond
)

// dispatcher accepts connections and gives each to a worker. Its picker decides to which.
//
// A connection goes to an idle worker: to one that has accepted all connections that it was given.
// If there is none, a worker may have some more; the others stay in the kernel's queue, where they
// are safe whichever worker dies.
type dispatcher struct {
	port    *port
	socket  listenSocket
	picker  picker
	most    int           // unaccepted connections of a worker, or 0: see Settings.MaxPending
	stuck   time.Duration // stuckAfter
	changed sync.Cond     // of the primary's mu: a worker is idle, or finishing was set
	takers  []*taker      // those that became idle last, last
	pending int           // connections that were given and not answered

	waiting   bool // the wait goroutine waits for a connection
	finishing bool // accept nothing more
}

// picker holds the connections that no worker has, and decides which worker gets which.
// Callers hold the primary's mu.
type picker interface {
	// push adds a connection, as the last.
	push(conn connFD)
	// pick removes a connection and chooses one of the ready workers for it, or returns no
	// worker; ready is never empty. Workers that have refused may have no room.
	pick(ready, refused []*Worker) (connFD, *Worker)
	// add adds a worker, also one that it has, and remove forgets it.
	add(w *Worker)
	remove(w *Worker)
	len() int
	// clear removes all connections.
	clear() []connFD
}

func newDispatcher(pt *port, picker picker, most int) *dispatcher {
	d := &dispatcher{
		port:   pt,
		socket: newListenSocket(pt.fd, pt.key),
		picker: picker,
		most:   most,
		stuck:  stuckAfter,
	}
	d.changed.L = &pt.primary.mu
	pt.primary.running.Go(d.wait)
	return d
}

// addWorker replies without a socket: the connections will come one by one.
func (d *dispatcher) addWorker(w *Worker, reply message) {
	reply.Errno = null
	reply.Sockname = d.port.sockname
	w.enqueue(reply, nil)
	d.picker.add(w)
	if d.taker(w) == nil {
		d.takers = append(d.takers, d.newTaker(w))
	}
	d.dispatch()
}

func (d *dispatcher) acceptsLate(w *Worker) {
	if t := d.taker(w); t != nil {
		t.late = true
	}
}

// newTaker returns a taker for a worker, which may have had the port before and not have accepted
// all connections that it was given.
func (d *dispatcher) newTaker(w *Worker) *taker {
	t := &taker{worker: w}
	for _, c := range w.pending {
		if c.from == d {
			c.to = t
			t.given()
		}
	}
	return t
}

func (d *dispatcher) removeWorker(w *Worker) {
	d.takers = slices.DeleteFunc(d.takers, func(t *taker) bool { return t.worker == w })
	d.picker.remove(w)
	d.dispatch()
}

// dispatch gives connections to workers. Every change of either calls it. It accepts the
// connections itself while there are some, which costs less than to wake the wait goroutine
// for each.
func (d *dispatcher) dispatch() {
	for ready := d.ready(); len(ready) > 0; ready = d.ready() {
		if conn, w := d.picker.pick(ready, d.refused()); w != nil {
			d.assign(conn, w)
			continue
		}
		conn := d.accept()
		if conn == noConn {
			break
		}
		d.picker.push(conn)
	}
	if d.hasIdle() {
		d.changed.Signal() // the next connection must be waited for
	} else if d.waiting {
		d.socket.interrupt() // the next connection must stay in the kernel's queue
	}
	if d.finished() {
		d.port.release()
	}
}

// ready returns the workers that may have a connection, those with the fewest unaccepted ones.
func (d *dispatcher) ready() (ready []*Worker) {
	fewest := maxPending
	for _, t := range d.takers {
		if t.unaccepted > fewest || !t.hasRoom(d.most, d.stuck) {
			continue
		}
		if t.unaccepted < fewest {
			fewest, ready = t.unaccepted, nil
		}
		ready = append(ready, t.worker)
	}
	return ready
}

func (d *dispatcher) refused() (refused []*Worker) {
	for _, t := range d.takers {
		if t.refused {
			refused = append(refused, t.worker)
		}
	}
	return refused
}

func (d *dispatcher) hasIdle() bool { return slices.ContainsFunc(d.takers, (*taker).idle) }

// assign gives a worker a connection.
func (d *dispatcher) assign(conn connFD, w *Worker) {
	t := d.taker(w)
	d.pending++
	t.given()
	w.sendPending(&pendingConn{conn: conn, from: d, to: t})
}

// taker returns the taker of a worker, or nil.
func (d *dispatcher) taker(w *Worker) *taker {
	for _, t := range d.takers {
		if t.worker == w {
			return t
		}
	}
	return nil
}

// finished reports whether, after finish, no connection is left that a worker could have.
func (d *dispatcher) finished() bool {
	return d.finishing && !d.waiting && d.pending == 0 &&
		(d.picker.len() == 0 || len(d.port.workers) == 0)
}

// accept takes the oldest connection from the kernel's queue, or returns noConn. It leaves them
// to the wait goroutine while that waits.
func (d *dispatcher) accept() connFD {
	if d.waiting || d.finishing {
		return noConn
	}
	return d.socket.accept()
}

// wait is a goroutine that waits for connections while a worker is idle.
func (d *dispatcher) wait() {
	mu := d.changed.L
	mu.Lock()
	defer mu.Unlock()
	for !d.finishing {
		if !d.hasIdle() {
			d.changed.Wait()
			continue
		}
		d.waiting = true
		d.socket.arm()
		mu.Unlock()
		conn, err := d.socket.wait()
		if err != nil {
			time.Sleep(acceptPause)
		}
		mu.Lock()
		d.waiting = false
		if conn != noConn {
			d.push(conn)
		}
		d.dispatch()
	}
}

// push queues a connection, or rejects it if the port was released.
func (d *dispatcher) push(conn connFD) {
	if d.port.primary.ports[d.port.key] != d.port {
		d.reset(conn)
		d.port.rejected(1)
		return
	}
	d.picker.push(conn)
}

// accepted counts the answer to a connection. The workers that had refused may have room again.
func (d *dispatcher) accepted(t *taker) {
	d.answered(t)
	for _, other := range d.takers {
		other.refused = false
	}
	d.dispatch()
}

// reset resets a connection that no worker could have.
func (d *dispatcher) reset(conn connFD) {
	d.port.primary.observe(Reset, nil, d.port.primary.clientOf(conn))
	conn.reset()
}

// refuse queues the connection again, and gives the worker none for a while.
func (d *dispatcher) refuse(t *taker, conn connFD) {
	d.answered(t)
	if slices.Contains(d.takers, t) {
		t.refuse(func() {
			d.changed.L.Lock()
			defer d.changed.L.Unlock()
			d.retry(t)
		})
	}
	d.push(conn)
	d.dispatch()
}

func (d *dispatcher) retry(t *taker) {
	t.refused = false
	d.dispatch()
}

// answered counts an answer.
func (d *dispatcher) answered(t *taker) {
	d.pending--
	t.answered()
	if i := slices.Index(d.takers, t); i >= 0 && t.unaccepted == 0 {
		d.takers = append(slices.Delete(d.takers, i, i+1), t)
	}
}

// requeue takes back a connection of a worker that has ended without having accepted it.
func (d *dispatcher) requeue(conn connFD) {
	d.pending--
	d.push(conn)
	d.dispatch()
}

// abandon resets a connection of a worker that has ended, when it is unknown whether the worker had
// accepted it.
func (d *dispatcher) abandon(conn connFD) {
	d.pending--
	conn.reset()
	d.port.primary.reset++
	d.dispatch()
}

func (d *dispatcher) queued() int { return d.picker.len() + backlogOf(d.socket.file) }

func (d *dispatcher) rejectAll() int {
	rejected := d.picker.clear()
	for conn := d.accept(); conn != noConn; conn = d.accept() {
		rejected = append(rejected, conn)
	}
	for _, conn := range rejected {
		d.reset(conn)
	}
	return len(rejected)
}

// finish first takes everything from the kernel's queue: closing the socket would reset it.
func (d *dispatcher) finish() {
	for conn := d.socket.accept(); conn != noConn; conn = d.socket.accept() {
		d.picker.push(conn)
	}
	d.close()
	d.dispatch()
}

func (d *dispatcher) close() {
	d.finishing = true
	d.socket.close()
	d.changed.Signal()
}
