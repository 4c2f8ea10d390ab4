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
	alone   int               // ticks without a worker
	closed  bool

	accepting bool // accept waits for a connection
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

// accept is a goroutine that takes connections while there is somebody for them.
func (d *dispatcher) accept() {
	mu := d.changed.L
	mu.Lock()
	defer mu.Unlock()
	for {
		for !d.closed && !d.wanted() {
			d.changed.Wait()
		}
		if d.closed {
			return
		}
		d.accepting = true
		d.queue.SetDeadline(time.Time{})
		mu.Unlock()
		conn, err := d.queue.Accept()
		if err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, os.ErrDeadlineExceeded) {
			time.Sleep(acceptAgain)
		}
		mu.Lock()
		d.accepting = false
		if err == nil {
			d.offer(conn)
		}
	}
}

// wanted reports whether there is somebody for one more connection.
func (d *dispatcher) wanted() bool { return len(d.idle) > 0 && len(d.waiting) == 0 }

// dispatch gives what waits to who is idle, and accepts what there is somebody for.
func (d *dispatcher) dispatch() {
	for len(d.waiting) > 0 && len(d.idle) > 0 {
		w, conn := d.choose(), d.waiting[0]
		d.forget(w)
		d.waiting = d.waiting[1:]
		d.turns[w] = w.give(conn, d)
	}
	if d.accepting && !d.wanted() {
		d.queue.SetDeadline(time.Unix(1, 0)) // wakes accept up
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
	d.offer(conn)
}

func (d *dispatcher) retry(w *Worker) {
	if slices.Contains(d.full, w) {
		d.rest(w)
		d.dispatch()
	}
}

// offer is a connection for whoever is idle next. One that comes back, because a worker
// has not accepted it, has waited longest.
func (d *dispatcher) offer(conn net.Conn) {
	if d.closed {
		conn.Close()
		return
	}
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

func (d *dispatcher) close() {
	d.closed = true
	d.turnAway()
	d.changed.Broadcast()
}
