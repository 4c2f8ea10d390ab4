package cluster

import (
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"playing-with-processes/internal/ipc"
)

// acceptWithin is how long a connection waits for a call of Accept before it goes back
// to the primary, and from there to another worker.
const acceptWithin = time.Second

// listener is a port of the primary. What it accepts is either given to it, one by one,
// or taken from the socket itself.
type listener struct {
	place
	accepts chan offer
	shared  net.Listener // or nil
	closing sync.Once
	closed  chan struct{}
}

// offer is a connection of which the primary waits to hear whether it is taken.
type offer struct {
	conn   net.Conn
	answer func(accepted bool) error
}

func (o offer) refuse() {
	o.conn.Close()
	o.answer(false)
}

func (l *listener) open(m message, raw ipc.Message) (err error) {
	l.settle(m)
	if string(m.Errno) == "null" { // no error, and no socket
		return nil
	}
	if l.shared, err = raw.Listener(); err != nil {
		return err
	}
	// A busy port is no error of Node's bind: then the socket has no address, and now
	// another one.
	asked, _ := l.addr.(*net.TCPAddr)
	got, _ := l.shared.Addr().(*net.TCPAddr)
	if asked != nil && asked.Port != 0 && got.Port != asked.Port {
		l.shared.Close()
		return os.NewSyscallError("bind", syscall.EADDRINUSE)
	}
	l.addr = l.shared.Addr()
	return nil
}

// offer waits for a call of Accept, but not for long.
func (l *listener) offer(o offer) {
	go func() {
		select {
		case l.accepts <- o:
		case <-l.closed:
			o.refuse()
		case <-time.After(acceptWithin):
			o.refuse()
		}
	}()
}

// Accept says that the connection is taken before it returns: who has not said so has
// not read a byte of it.
func (l *listener) Accept() (net.Conn, error) {
	if l.shared != nil {
		return l.shared.Accept()
	}
	select {
	case o := <-l.accepts:
		if err := o.answer(true); err != nil { // the primary has gone, and so we leave
			o.conn.Close()
			<-l.closed
			return nil, l.failed(net.ErrClosed)
		}
		return o.conn, nil
	case <-l.closed:
		return nil, l.failed(net.ErrClosed)
	}
}

func (l *listener) failed(err error) error {
	return &net.OpError{Op: "accept", Net: l.addr.Network(), Addr: l.addr, Err: err}
}

func (l *listener) Addr() net.Addr { return l.addr }

func (l *listener) Close() (err error) {
	err = &net.OpError{Op: "close", Net: l.addr.Network(), Addr: l.addr, Err: net.ErrClosed}
	l.closing.Do(func() {
		err = nil
		close(l.closed)
		if l.shared != nil {
			err = l.shared.Close()
		}
		l.giveUp()
	})
	return err
}
