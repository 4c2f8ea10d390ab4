package cluster

import (
	"os"
	"slices"
	"sync"
	"time"
)

const (
	// refusedPause is how long a worker that refused a connection gets none, unless another
	// connection is accepted before. Node's primary offers it again at once, in a busy loop.
	refusedPause = 100 * time.Millisecond
	// acceptPause follows a passing error of accept, such as a lack of descriptors.
	acceptPause = 50 * time.Millisecond
)

// dispatcher accepts connections and gives each to an idle worker. Its picker decides which.
//
// A worker has at most one connection of the port that it has not accepted. Others stay in the
// kernel's queue, where they are safe whichever worker dies, until a worker is idle.
type dispatcher struct {
	port    *port
	socket  listenSocket
	picker  picker
	changed sync.Cond // of the primary's mu: a worker is idle, or finishing was set
	idle    []*Worker
	refused []*Worker               // have refused a connection, and may have no room
	retries map[*Worker]*time.Timer // of workers that have refused
	pending int                     // connections that were given and not answered

	waiting   bool // the wait goroutine waits for a connection
	finishing bool // accept nothing more
}

// picker holds the connections that no worker has, and decides which worker gets which.
// Callers hold the primary's mu.
type picker interface {
	// push adds a connection, as the last.
	push(conn *os.File)
	// pick removes a connection and chooses an idle worker for it, or returns nil; idle is
	// never empty. Workers that have refused may have no room.
	pick(idle, refused []*Worker) (*os.File, *Worker)
	// add adds a worker, also one that it has, and remove forgets it.
	add(w *Worker)
	remove(w *Worker)
	len() int
	// clear removes all connections.
	clear() []*os.File
}

func newDispatcher(pt *port, picker picker) *dispatcher {
	d := &dispatcher{
		port:    pt,
		socket:  newListenSocket(pt.fd, pt.key),
		picker:  picker,
		retries: map[*Worker]*time.Timer{},
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
	d.markIdle(w)
	d.dispatch()
}

// markIdle makes a worker idle, once, if it still has the port.
func (d *dispatcher) markIdle(w *Worker) {
	if d.unmark(w); d.port.workers[w] {
		d.idle = append(d.idle, w)
	}
}

func (d *dispatcher) unmark(w *Worker) {
	is := func(other *Worker) bool { return other == w }
	d.idle, d.refused = slices.DeleteFunc(d.idle, is), slices.DeleteFunc(d.refused, is)
}

func (d *dispatcher) removeWorker(w *Worker) {
	d.unmark(w)
	delete(d.retries, w)
	d.picker.remove(w)
	d.dispatch()
}

// dispatch gives connections to idle workers. Every change of either calls it. It accepts the
// connections itself while there are some, which costs less than to wake the wait goroutine
// for each.
func (d *dispatcher) dispatch() {
	for len(d.idle) > 0 {
		if conn, w := d.picker.pick(d.idle, d.refused); conn != nil {
			d.unmark(w)
			d.pending++
			w.give(conn, d)
			continue
		}
		conn := d.accept()
		if conn == nil {
			break
		}
		d.picker.push(conn)
	}
	if len(d.idle) > 0 {
		d.changed.Signal() // the next connection must be waited for
	} else if d.waiting {
		d.socket.interrupt() // the next connection must stay in the kernel's queue
	}
	if d.finished() {
		d.port.release()
	}
}

// finished reports whether, after finish, no connection is left that a worker could have.
func (d *dispatcher) finished() bool {
	return d.finishing && !d.waiting && d.pending == 0 &&
		(d.picker.len() == 0 || len(d.port.workers) == 0)
}

// accept takes the oldest connection from the kernel's queue, or returns nil. It leaves them
// to the wait goroutine while that waits.
func (d *dispatcher) accept() *os.File {
	if d.waiting || d.finishing {
		return nil
	}
	return d.socket.accept()
}

// wait is a goroutine that waits for connections while a worker is idle.
func (d *dispatcher) wait() {
	mu := d.changed.L
	mu.Lock()
	defer mu.Unlock()
	for !d.finishing {
		if len(d.idle) == 0 {
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
		if conn != nil {
			d.push(conn)
		}
		d.dispatch()
	}
}

// push queues a connection, or rejects it if the port was released.
func (d *dispatcher) push(conn *os.File) {
	if d.port.primary.ports[d.port.key] != d.port {
		reset(conn)
		d.port.rejected(1)
		return
	}
	d.picker.push(conn)
}

// accepted makes the worker idle, and those that had refused: they may have room again.
func (d *dispatcher) accepted(w *Worker) {
	d.pending--
	d.idle = append(d.idle, d.refused...)
	d.refused = nil
	d.markIdle(w)
	d.dispatch()
}

// refuse queues the connection again, and makes the worker idle after a pause.
func (d *dispatcher) refuse(w *Worker, conn *os.File) {
	if d.port.workers[w] {
		d.refused = append(d.refused, w)
		if earlier := d.retries[w]; earlier != nil {
			earlier.Stop() // it would come too early now
		}
		d.retries[w] = time.AfterFunc(refusedPause, func() {
			d.changed.L.Lock()
			defer d.changed.L.Unlock()
			d.retry(w)
		})
	}
	d.requeue(conn)
}

func (d *dispatcher) retry(w *Worker) {
	if slices.Contains(d.refused, w) {
		d.markIdle(w)
		d.dispatch()
	}
}

// requeue takes back a connection that was given and not accepted.
func (d *dispatcher) requeue(conn *os.File) {
	d.pending--
	d.push(conn)
	d.dispatch()
}

// abandon resets a connection that was given, when it is unknown whether it was accepted.
func (d *dispatcher) abandon(conn *os.File) {
	d.pending--
	reset(conn)
	d.port.primary.reset++
	d.dispatch()
}

func (d *dispatcher) queued() int { return d.picker.len() + backlogOf(d.socket.file) }

func (d *dispatcher) rejectAll() int {
	rejected := d.picker.clear()
	for conn := d.accept(); conn != nil; conn = d.accept() {
		rejected = append(rejected, conn)
	}
	for _, conn := range rejected {
		reset(conn)
	}
	return len(rejected)
}

// finish first takes everything from the kernel's queue: closing the socket would reset it.
func (d *dispatcher) finish() {
	for conn := d.socket.accept(); conn != nil; conn = d.socket.accept() {
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
