package cluster

import (
	"os"
	"slices"
	"sync"
	"time"
)

const (
	// refusedFor is how long a worker that has refused a connection is left alone,
	// unless another one has accepted before. Node's primary asks it again at once, and
	// so keeps both of them busy.
	refusedFor = 100 * time.Millisecond
	// acceptAgain is the pause after an error that will pass, as when there is no
	// descriptor left.
	acceptAgain = 50 * time.Millisecond
)

// dispatcher accepts connections and gives each to a worker that is idle. Which one is
// for the line to say.
//
// A worker has one connection at a time that it has not accepted. Only when there is one
// for it the next is taken from the kernel's queue: there it is safe, whoever dies.
type dispatcher struct {
	port    *port
	queue   queue
	line    line
	changed sync.Cond // of the primary's mu: something that follows has changed
	idle    []*Worker // can take a connection
	full    []*Worker // have refused one
	given   int       // connections that have not been accepted

	waiting   bool // a goroutine waits for a connection
	finishing bool // nobody is let in any more,
	closed    bool // nor served
}

// line is the connections that nobody has, and knows which of them is for whom. The
// caller has the primary's mu.
type line interface {
	// enter takes in one more, as the last.
	enter(conn *os.File)
	// match takes out one that is for a worker who is idle, of whom there are some. It
	// is nil if there is none.
	match(idle []*Worker) (*os.File, *Worker)
	// leave forgets a worker.
	leave(w *Worker)
	// len is how many wait.
	len() int
	// clear takes out all.
	clear() []*os.File
}

func newDispatcher(p *Primary, pt *port, l line) scheduler {
	d := &dispatcher{
		port:  pt,
		queue: newQueue(pt.fd, pt.key),
		line:  l,
	}
	d.changed.L = &p.mu
	p.running.Go(d.wait)
	return d
}

// join answers that connections will come, and lets them.
func (d *dispatcher) join(w *Worker, reply message) {
	reply.Errno = null // and no socket
	reply.Sockname = d.port.sockname
	w.post(reply, nil)
	d.rest(w)
	d.dispatch()
}

// rest makes a worker idle, once.
func (d *dispatcher) rest(w *Worker) {
	if d.forget(w); d.port.members[w] {
		d.idle = append(d.idle, w)
	}
}

func (d *dispatcher) leave(w *Worker) {
	d.forget(w)
	d.line.leave(w)
	d.dispatch()
}

func (d *dispatcher) forget(w *Worker) {
	is := func(other *Worker) bool { return other == w }
	d.idle, d.full = slices.DeleteFunc(d.idle, is), slices.DeleteFunc(d.full, is)
}

// dispatch gives connections to who is idle. It is called when something has changed.
func (d *dispatcher) dispatch() {
	for len(d.idle) > 0 {
		if conn, w := d.line.match(d.idle); conn != nil {
			d.give(conn, w)
			continue
		}
		conn := d.next()
		if conn == nil {
			break
		}
		d.line.enter(conn)
	}
	if len(d.idle) > 0 {
		d.changed.Signal() // there is somebody to wait for
	} else if d.waiting {
		d.queue.interrupt()
	}
	if d.finishing && !d.waiting && d.given == 0 && (d.line.len() == 0 || len(d.port.members) == 0) {
		d.port.release()
	}
}

// next is who has waited longest in the kernel's queue, or nil.
func (d *dispatcher) next() *os.File {
	if d.waiting || d.finishing { // whoever comes next is waited for
		return nil
	}
	return d.queue.take()
}

func (d *dispatcher) give(conn *os.File, w *Worker) {
	d.forget(w)
	d.given++
	w.give(conn, d)
}

// wait is a goroutine that waits for connections while there is somebody for them.
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
		d.queue.arm()
		mu.Unlock()
		conn, err := d.queue.wait()
		if err != nil {
			time.Sleep(acceptAgain)
		}
		mu.Lock()
		d.waiting = false
		if conn != nil {
			d.offer(conn)
		}
		d.dispatch()
	}
}

// offer is a connection that nobody has.
func (d *dispatcher) offer(conn *os.File) {
	if d.closed {
		reset(conn)
		d.port.turnedAway(1)
		return
	}
	d.line.enter(conn)
}

// accepted lets the worker have the next one, and the others, which may have room again,
// be asked.
func (d *dispatcher) accepted(w *Worker) {
	d.given--
	d.idle = append(d.idle, d.full...)
	d.full = nil
	d.rest(w)
	d.dispatch()
}

// refused offers the connection to another, and asks this worker again after a while.
func (d *dispatcher) refused(w *Worker, conn *os.File) {
	if d.port.members[w] {
		d.full = append(d.full, w)
		time.AfterFunc(refusedFor, func() {
			d.changed.L.Lock()
			defer d.changed.L.Unlock()
			d.retry(w)
		})
	}
	d.back(conn)
}

func (d *dispatcher) retry(w *Worker) {
	if slices.Contains(d.full, w) {
		d.rest(w)
		d.dispatch()
	}
}

// back takes back a connection that was given and not accepted.
func (d *dispatcher) back(conn *os.File) {
	d.given--
	d.offer(conn)
	d.dispatch()
}

// lost is a connection that was given, and nobody knows whether it was accepted.
func (d *dispatcher) lost(conn *os.File) {
	d.given--
	reset(conn)
	d.port.primary.reset++
	d.dispatch()
}

func (d *dispatcher) queued() int { return d.line.len() + d.queue.len() }

func (d *dispatcher) turnAway() int {
	away := d.line.clear()
	for conn := d.next(); conn != nil; conn = d.next() {
		away = append(away, conn)
	}
	for _, conn := range away {
		reset(conn)
	}
	return len(away)
}

// finish takes all that is in the queue, whose end would reset it.
func (d *dispatcher) finish() {
	for conn := d.queue.take(); conn != nil; conn = d.queue.take() {
		d.line.enter(conn)
	}
	d.end()
	d.dispatch()
}

func (d *dispatcher) close() {
	d.closed = true
	d.end()
}

func (d *dispatcher) end() {
	d.finishing = true
	d.queue.close()
	d.changed.Signal()
}
