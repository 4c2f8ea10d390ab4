package cluster

import (
	"cmp"
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

// dispatcher accepts connections and gives each to a worker: Node's round robin, in which
// the turn goes around among those who are idle.
//
// A worker has one connection at a time that it has not accepted. Only when there is one
// for it the next is taken from the kernel's queue: there it is safe, whoever dies.
type dispatcher struct {
	port     *port
	queue    queue
	changed  sync.Cond         // of the primary's mu: something that follows has changed
	idle     []*Worker         // can take a connection
	full     []*Worker         // have refused one
	turns    map[*Worker]int64 // when each was last given one
	returned []*os.File        // connections that nobody has: most came back
	given    int               // connections that have not been accepted

	waiting   bool // a goroutine waits for a connection
	finishing bool // nobody is let in any more,
	closed    bool // nor served
}

func newDispatcher(p *Primary, pt *port) scheduler {
	d := &dispatcher{
		port:  pt,
		queue: newQueue(pt.fd, pt.key),
		turns: map[*Worker]int64{},
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
	delete(d.turns, w)
	d.dispatch()
}

func (d *dispatcher) forget(w *Worker) {
	is := func(other *Worker) bool { return other == w }
	d.idle, d.full = slices.DeleteFunc(d.idle, is), slices.DeleteFunc(d.full, is)
}

// dispatch gives connections to who is idle. It is called when something has changed.
func (d *dispatcher) dispatch() {
	for len(d.idle) > 0 {
		conn := d.next()
		if conn == nil {
			break
		}
		d.give(conn)
	}
	if d.waiting && len(d.idle) == 0 {
		d.queue.interrupt()
	}
	if len(d.idle) > 0 {
		d.changed.Signal() // there is somebody to wait for
	}
	if d.finishing && !d.waiting && d.given == 0 && (len(d.returned) == 0 || len(d.port.members) == 0) {
		d.port.release()
	}
}

// next is the connection that has waited longest, or nil.
func (d *dispatcher) next() (conn *os.File) {
	if len(d.returned) > 0 {
		conn, d.returned = d.returned[0], d.returned[1:]
		return conn
	}
	if d.waiting || d.finishing { // whoever comes next is waited for
		return nil
	}
	return d.queue.take()
}

// give gives a connection to the worker whose turn it is: that was given one longest ago.
// Node takes who is idle for longest, and so gives more to who is quick.
func (d *dispatcher) give(conn *os.File) {
	w := slices.MinFunc(d.idle, func(a, b *Worker) int { return cmp.Compare(d.turns[a], d.turns[b]) })
	d.forget(w)
	d.given++
	d.turns[w] = w.give(conn, d)
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
	d.returned = append(d.returned, conn)
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
	d.dispatch()
}

func (d *dispatcher) turnAway() (n int) {
	for conn := d.next(); conn != nil; conn = d.next() {
		reset(conn)
		n++
	}
	return n
}

// finish takes all that is in the queue, whose end would reset it.
func (d *dispatcher) finish() {
	for conn := d.queue.take(); conn != nil; conn = d.queue.take() {
		d.returned = append(d.returned, conn)
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
