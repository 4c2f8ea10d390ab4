package cluster

import (
	"errors"
	"net"
	"os"
	"sync"
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
	accepts chan offer
	shared  net.Listener // or nil
	closing sync.Once
	closed  chan struct{}
}

// offer is a connection that the primary has given us, and how to answer.
type offer struct {
	conn   net.Conn
	answer func(accepted bool) error
}

func (o offer) refuse() {
	o.conn.Close()
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

// offer waits for a call of Accept, and refuses the connection if none comes.
func (l *listener) offer(o offer) {
	select {
	case l.accepts <- o:
	case <-l.closed:
		o.refuse()
	case <-time.After(acceptWithin):
		o.refuse()
	}
}

// Accept answers that the connection is accepted before it returns it: so a worker that has
// not answered has not read a byte of it.
func (l *listener) Accept() (net.Conn, error) {
	if l.shared != nil {
		return l.shared.Accept()
	}
	select {
	case o := <-l.accepts:
		if o.answer(true) == nil {
			return o.conn, nil
		}
		o.conn.Close() // the primary is gone, and so we leave
		<-l.closed
	case <-l.closed:
	}
	return nil, l.closedError("accept")
}

func (l *listener) closedError(op string) error {
	return &net.OpError{Op: op, Net: l.addr.Network(), Addr: l.addr, Err: net.ErrClosed}
}

func (l *listener) Addr() net.Addr { return l.addr }

func (l *listener) Close() (err error) {
	err = l.closedError("close")
	l.closing.Do(func() {
		err = nil
		close(l.closed)
		if l.shared != nil {
			err = l.shared.Close()
		}
		l.unregister()
	})
	return err
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
