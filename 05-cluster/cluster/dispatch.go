package cluster

import (
	"cmp"
	"errors"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// refusedFor is how long a worker that has refused a connection is left alone, unless
// another one has accepted before. Node's primary asks it again at once, and so keeps
// both of them busy.
const refusedFor = 100 * time.Millisecond

// restFor is how long the queue is emptied in the end.
const restFor = 10 * time.Millisecond

// acceptAgain is the pause after an error that will pass, as when there is no
// descriptor left.
const acceptAgain = 50 * time.Millisecond

// dispatcher accepts connections and gives each to a worker: Node's round robin, in which
// the turn goes around among those who are idle.
//
// A worker has one connection at a time that it has not accepted. Only when there is one
// for it the next is taken from the kernel's queue: there it is safe, whoever dies.
type dispatcher struct {
	*port
	queue   queue
	changed sync.Cond         // of the primary's mu: something that follows has changed
	idle    []*Worker         // can take a connection
	full    []*Worker         // have refused one
	turns   map[*Worker]int64 // when each was last given one
	waiting []net.Conn        // accepted by us, and by no worker
	given   int               // to workers, and not accepted
	alone   int               // ticks without a worker

	accepting bool // a goroutine waits for a connection
	finishing bool // nobody is let in any more,
	finished  bool // and all who were in the queue are here
}

// queue is a *net.TCPListener or a *net.UnixListener.
type queue interface {
	net.Listener
	syscall.Conn
	SetDeadline(time.Time) error
}

func newDispatcher(p *Primary, pt *port) scheduler {
	d := &dispatcher{port: pt, queue: pt.socket.(queue), turns: map[*Worker]int64{}}
	d.changed.L = &p.mu
	p.running.Go(d.accept)
	return d
}

// join answers that connections will come, and lets them.
func (d *dispatcher) join(w *Worker, reply answer) {
	reply.Sockname = socknameOf(d.queue.Addr())
	w.post(reply, nil, 0)
	d.alone = 0
	d.rest(w)
	d.dispatch()
}

// rest makes a worker idle, once.
func (d *dispatcher) rest(w *Worker) {
	if d.forget(w); d.members[w] {
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

// accept is a goroutine that takes connections while there is somebody for them, and in
// the end all that are left.
func (d *dispatcher) accept() {
	d.changed.L.Lock()
	defer d.changed.L.Unlock()
	for !d.finished {
		switch {
		case d.finishing:
			d.acceptRest()
		case d.wanted():
			d.acceptOne()
		default:
			d.changed.Wait()
		}
	}
}

func (d *dispatcher) acceptOne() {
	d.accepting = true
	d.queue.SetDeadline(time.Time{})
	d.changed.L.Unlock()
	conn, err := d.queue.Accept()
	if err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, os.ErrDeadlineExceeded) {
		time.Sleep(acceptAgain)
	}
	d.changed.L.Lock()
	d.accepting = false
	if err == nil {
		d.offer(asAccepted(conn))
	}
}

// acceptRest takes what is in the queue. Its end would reset that.
func (d *dispatcher) acceptRest() {
	d.queue.SetDeadline(time.Now().Add(restFor))
	d.changed.L.Unlock()
	var rest []net.Conn
	for {
		conn, err := d.queue.Accept()
		if err != nil {
			break
		}
		rest = append(rest, asAccepted(conn))
	}
	d.queue.Close()
	d.changed.L.Lock()
	d.finished = true
	d.waiting = append(d.waiting, rest...)
	d.dispatch()
}

// asAccepted undoes what Go has set: that is the worker's choice.
func asAccepted(conn net.Conn) net.Conn {
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetNoDelay(false)
	}
	return conn
}

// wanted reports whether there is somebody for one more connection.
func (d *dispatcher) wanted() bool { return len(d.idle) > 0 && len(d.waiting) == 0 }

// dispatch gives what waits to who is idle. It is called when something has changed.
func (d *dispatcher) dispatch() {
	for len(d.waiting) > 0 && len(d.idle) > 0 {
		w, conn := d.choose(), d.waiting[0]
		d.forget(w)
		d.waiting = d.waiting[1:]
		d.given++
		d.turns[w] = w.give(conn, d)
	}
	if d.accepting && !d.wanted() {
		d.queue.SetDeadline(time.Unix(1, 0)) // wakes accept up
	}
	if d.finished && d.given == 0 && (len(d.waiting) == 0 || len(d.members) == 0) {
		d.port.close()
	}
	d.changed.Broadcast()
}

// choose says whose turn it is: that was given one longest ago. Node takes who is idle
// for longest, and so gives more to who is quick.
func (d *dispatcher) choose() *Worker {
	return slices.MinFunc(d.idle, func(a, b *Worker) int { return cmp.Compare(d.turns[a], d.turns[b]) })
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
func (d *dispatcher) refused(w *Worker, conn net.Conn) {
	if d.members[w] {
		d.full = append(d.full, w)
		time.AfterFunc(refusedFor, func() {
			d.changed.L.Lock()
			defer d.changed.L.Unlock()
			d.retry(w)
		})
	}
	d.back(conn)
}

// back takes back a connection that was given and not accepted.
func (d *dispatcher) back(conn net.Conn) {
	d.given--
	d.offer(conn)
}

func (d *dispatcher) retry(w *Worker) {
	if slices.Contains(d.full, w) {
		d.rest(w)
		d.dispatch()
	}
}

// offer is a connection for whoever is idle next. One that comes back has waited longest.
func (d *dispatcher) offer(conn net.Conn) {
	d.waiting = slices.Insert(d.waiting, 0, conn)
	d.dispatch()
}

// age resets what waits when there has been no worker for too long: the clients shall
// know.
func (d *dispatcher) age(most int) {
	if len(d.members) > 0 {
		return
	}
	if d.alone++; d.alone < most {
		return
	}
	d.alone = 0
	if n := d.turnAway() + d.turnAwayQueue(); n > 0 {
		d.primary.tell(TurnedAway{d.queue.Addr(), n})
	}
}

// turnAway resets the connections that wait here,
func (d *dispatcher) turnAway() (n int) {
	n = len(d.waiting)
	for _, conn := range d.waiting {
		if tcp, ok := conn.(*net.TCPConn); ok {
			tcp.SetLinger(0)
		}
		conn.Close()
	}
	d.waiting = nil
	return n
}

// and turnAwayQueue those that wait in the kernel.
func (d *dispatcher) turnAwayQueue() (n int) {
	raw, err := d.queue.SyscallConn()
	if err != nil {
		return 0
	}
	raw.Control(func(fd uintptr) {
		for {
			conn, _, err := unix.Accept(int(fd))
			switch err {
			case nil:
				unix.SetsockoptLinger(conn, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
				unix.Close(conn)
				n++
			case unix.EINTR, unix.ECONNABORTED:
			default: // there are no more
				return
			}
		}
	})
	return n
}

// finish lets in nobody any more, and has those who are there served.
func (d *dispatcher) finish() {
	d.finishing = true
	d.queue.SetDeadline(time.Unix(1, 0))
	d.changed.Broadcast()
}

func (d *dispatcher) close() {
	d.finishing, d.finished = true, true
	d.turnAway()
	d.changed.Broadcast()
}
