package cluster

import (
	"errors"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"playing-with-processes/internal/ipc"
)

// acceptWithin is how long a connection waits for a call of Accept before it goes back to the
// primary, and from there to another worker.
const acceptWithin = time.Second

// listener is a port of the primary. Its connections come from the primary, one by one, or
// from the socket itself if the primary shares it.
type listener struct {
	registration
	shared net.Listener // or nil

	patience atomic.Pointer[patience] // set by Serve: connections are accepted late

	mu      sync.Mutex      // guards the fields below
	offers  []*offer        // that no call of Accept has taken yet, oldest first
	accepts []chan net.Conn // calls of Accept that wait, oldest first
	closed  bool
}

// offer is a connection that the primary has given us.
type offer struct {
	conn    net.Conn
	primary *primaryConn
	seq     int64 // of its message
	expiry  *time.Timer
}

// answer waits while the primary does not read. So the goroutine that reads must not call it.
func (o *offer) answer(accepted bool) error {
	if sent, err := o.tryAnswer(accepted); sent || err != nil {
		return err
	}
	return o.primary.send(o.message(accepted))
}

// tryAnswer is answer that does not wait. It returns false if it would have to.
func (o *offer) tryAnswer(accepted bool) (sent bool, err error) {
	return o.primary.channel.TrySend(ipc.ClusterMessage{Message: o.primary.number(o.message(accepted))})
}

func (o *offer) message(accepted bool) message { return message{Ack: &o.seq, Accepted: &accepted} }

func (o *offer) refuse() {
	if o.conn != nil {
		o.conn.Close()
	}
	o.answer(false)
}

// open handles the reply. As in Node, whether a socket came with it decides whether the worker
// accepts itself.
func (l *listener) open(m message, raw ipc.Message) (err error) {
	l.confirm(m)
	if l.shared, err = raw.Listener(); errors.Is(err, ipc.ErrNoHandle) { // connections will come one by one
		return nil
	}
	if err != nil {
		return err
	}
	// For a busy port, Node sends a socket that it could not bind. The socket has just been
	// bound to a random port.
	wanted, _ := l.addr.(*net.TCPAddr)
	got, _ := l.shared.Addr().(*net.TCPAddr)
	if wanted != nil && wanted.Port != 0 && got.Port != wanted.Port {
		l.shared.Close()
		return os.NewSyscallError("bind", syscall.EADDRINUSE)
	}
	l.addr = l.shared.Addr()
	return nil
}

// offer accepts a connection for a call of Accept that waits. If none waits, the connection waits
// for a call, and is refused if none comes. offer itself never waits.
func (l *listener) offer(o *offer) {
	accept, refused := l.takeAccept(o)
	switch {
	case refused:
		go o.refuse()
	case accept == nil:
	case l.patience.Load() != nil: // it is accepted later
		accept <- l.accept(o)
	default:
		if sent, _ := o.tryAnswer(true); sent {
			accept <- o.conn
			return
		}
		go func() { accept <- o.accept() }()
	}
}

// takeAccept returns the call of Accept that an offer is for, which is nil if the offer must wait.
func (l *listener) takeAccept(o *offer) (accept chan<- net.Conn, refused bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, true
	}
	if len(l.accepts) == 0 {
		l.offers = append(l.offers, o)
		o.expiry = time.AfterFunc(acceptWithin, func() { l.expire(o) })
		return nil, false
	}
	accept = l.accepts[0]
	l.accepts = slices.Delete(l.accepts, 0, 1)
	return accept, false
}

// expire refuses a connection that has waited too long for Accept.
func (l *listener) expire(o *offer) {
	l.mu.Lock()
	i := slices.Index(l.offers, o)
	if i >= 0 {
		l.offers = slices.Delete(l.offers, i, i+1)
	}
	l.mu.Unlock()
	if i >= 0 {
		o.refuse()
	}
}

// accept returns the connection, which it has accepted or which will be accepted late: so a worker
// that has not answered has not read a byte of it.
func (l *listener) accept(o *offer) net.Conn {
	if p := l.patience.Load(); p != nil {
		return newLateConn(o.conn, o.answer, p)
	}
	return o.accept()
}

// acceptLate makes the listener accept connections late, and tells the primary.
func (l *listener) acceptLate() {
	if l.shared == nil {
		l.patience.Store(newPatience())
		l.primary.send(message{Act: actLate, Key: l.key}) // fails only if the primary is gone
	}
}

// accept answers that the connection is accepted. It returns nil if the primary is gone; then the
// listener will be closed.
func (o *offer) accept() net.Conn {
	if o.answer(true) != nil {
		o.conn.Close()
		return nil
	}
	return o.conn
}

func (l *listener) Accept() (net.Conn, error) {
	if l.shared != nil {
		return l.shared.Accept()
	}
	for {
		switch conn, open := <-l.nextConn(); {
		case !open:
			return nil, l.closedError("accept")
		case conn != nil:
			return conn, nil
		}
	}
}

// nextConn returns a channel that yields the next connection, or is closed with the listener.
func (l *listener) nextConn() <-chan net.Conn {
	accept := make(chan net.Conn, 1)
	if o := l.takeOffer(accept); o != nil {
		o.expiry.Stop()
		accept <- l.accept(o)
	}
	return accept
}

// takeOffer returns the oldest offer. If there is none, accept waits for one, or is closed.
func (l *listener) takeOffer(accept chan net.Conn) (o *offer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case len(l.offers) > 0:
		o = l.offers[0]
		l.offers = slices.Delete(l.offers, 0, 1)
	case l.closed:
		close(accept)
	default:
		l.accepts = append(l.accepts, accept)
	}
	return o
}

func (l *listener) closedError(op string) error {
	return &net.OpError{Op: op, Net: l.addr.Network(), Addr: l.addr, Err: net.ErrClosed}
}

func (l *listener) Addr() net.Addr { return l.addr }

func (l *listener) Close() error {
	offers, ok := l.close()
	if !ok {
		return l.closedError("close")
	}
	for _, o := range offers {
		o.expiry.Stop()
		go o.refuse() // readLoop may have called Close
	}
	var err error
	if l.shared != nil {
		err = l.shared.Close()
	}
	l.unregister()
	return err
}

// close ends the calls of Accept that wait, and returns the connections that no call has taken. ok is
// false if the listener was closed before.
func (l *listener) close() (offers []*offer, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, false
	}
	l.closed = true
	for _, accept := range l.accepts {
		close(accept)
	}
	offers, l.offers, l.accepts = l.offers, nil, nil
	return offers, true
}

// packetConn is a UDP socket that the workers share.
type packetConn struct {
	net.PacketConn
	registration
}

func (c *packetConn) open(m message, raw ipc.Message) (err error) {
	c.confirm(m)
	if c.PacketConn, err = raw.PacketConn(); err == nil {
		c.addr = c.LocalAddr()
	}
	return err
}

func (c *packetConn) Close() error {
	err := c.PacketConn.Close()
	if err == nil { // the first time
		c.unregister()
	}
	return err
}
