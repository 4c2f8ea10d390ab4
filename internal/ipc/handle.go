package ipc

import (
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Node's names for what it can pass on.
const (
	kindServer   = "net.Server"   // a listening TCP or Unix socket
	kindSocket   = "net.Socket"   // a connection over either
	kindDatagram = "dgram.Socket" // a UDP socket
)

// natives are the names for the same things where Node's receiver shall not make an
// object of its own of them, as in its cluster module.
var natives = map[string]string{
	kindServer:   "net.Native",
	kindSocket:   "net.Native",
	kindDatagram: "dgram.Native",
}

// handle is a socket that came with a message and that nobody has taken yet.
type handle struct {
	file *os.File
	kind string
	gone func() // called when the socket is closed, for Node's bookkeeping
}

// kindOf tells what a descriptor is, and for a UDP socket its address family
// in Node's words. What Node cannot rebuild is ErrNotAHandle.
func kindOf(fd int) (kind, family string, err error) {
	address, err := unix.Getsockname(fd)
	if err != nil {
		return "", "", ErrNotAHandle
	}
	socketType, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return "", "", ErrNotAHandle
	}
	listening, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	switch address.(type) {
	case *unix.SockaddrInet4:
		family = "udp4"
	case *unix.SockaddrInet6:
		family = "udp6"
	case *unix.SockaddrUnix:
	default:
		return "", "", ErrNotAHandle
	}
	switch {
	case socketType == unix.SOCK_STREAM && listening != 0:
		return kindServer, "", nil
	case socketType == unix.SOCK_STREAM:
		return kindSocket, "", nil
	case socketType == unix.SOCK_DGRAM && family != "":
		return kindDatagram, family, nil
	}
	return "", "", ErrNotAHandle
}

// Listener takes the message's handle, which must be a listening socket, or one
// that has an address only: then it listens from now on. The second is how Node
// shares a port without accepting on it itself. The caller closes it. A message
// and its copies are for one goroutine at a time.
func (m Message) Listener() (net.Listener, error) {
	if m.handle != nil && m.handle.file != nil && m.handle.kind == kindSocket {
		if err := listen(m.handle); err != nil {
			return nil, err
		}
	}
	return take(m.handle, kindServer, net.FileListener)
}

// listen makes a handle that is no connection a listening one.
func listen(h *handle) error {
	raw, err := h.file.SyscallConn()
	if err != nil {
		return fmt.Errorf("take handle: %w", err)
	}
	ctl := raw.Control(func(fd uintptr) {
		if _, err = unix.Getpeername(int(fd)); err != unix.ENOTCONN {
			err = fmt.Errorf("%w: %s", ErrNoHandle, kindServer)
			return
		}
		// The kernel lowers it to net.core.somaxconn.
		err = unix.Listen(int(fd), math.MaxUint16)
	})
	if err = errors.Join(ctl, err); err != nil {
		return fmt.Errorf("take handle: %w", err)
	}
	h.kind = kindServer
	return nil
}

// Conn takes the message's handle, which must be a connection. The caller
// closes it. A connection that a Node server accepted is wrapped, so that its
// server hears of the Close; NetConn on it gives what is inside, as on a
// tls.Conn.
func (m Message) Conn() (net.Conn, error) {
	conn, err := take(m.handle, kindSocket, net.FileConn)
	if err != nil || m.handle.gone == nil {
		return conn, err
	}
	return &countedConn{Conn: conn, gone: sync.OnceFunc(m.handle.gone)}, nil
}

// PacketConn takes the message's handle, which must be a UDP socket. The caller
// closes it.
func (m Message) PacketConn() (net.PacketConn, error) {
	return take(m.handle, kindDatagram, net.FilePacketConn)
}

// Close closes the message's handle, if it has one that was not taken.
func (m Message) Close() error {
	if m.handle == nil || m.handle.file == nil {
		return nil
	}
	noLinger(int(m.handle.file.Fd()))
	err := m.handle.file.Close()
	m.handle.file = nil
	if m.handle.gone != nil {
		m.handle.gone()
	}
	return err
}

// take turns a handle into what open makes of it, once.
func take[T any](h *handle, kind string, open func(*os.File) (T, error)) (socket T, err error) {
	if h == nil || h.file == nil || h.kind != kind {
		return socket, fmt.Errorf("%w: %s", ErrNoHandle, kind)
	}
	socket, err = open(h.file) // has a duplicate now
	if err != nil {
		return socket, fmt.Errorf("take handle: %w", err)
	}
	h.file.Close()
	h.file = nil
	return socket, nil
}

// countedConn is a connection whose end its Node sender wants to hear of.
type countedConn struct {
	net.Conn
	gone func()
}

func (c *countedConn) Close() error {
	defer c.gone()
	return c.Conn.Close()
}

func (c *countedConn) NetConn() net.Conn { return c.Conn }

// SyscallConn lets the connection be passed on.
func (c *countedConn) SyscallConn() (syscall.RawConn, error) {
	return c.Conn.(syscall.Conn).SyscallConn()
}

// passed is a descriptor that has arrived, while its line may not be complete.
// There is one at the most: a read ends behind the bytes that a descriptor came
// with, and who sends several handles keeps to maxUnread.
type passed struct {
	fd  int   // or -1
	end int64 // where in the incoming stream the read that brought it ended
}

// keepPassed keeps the first of the descriptors that one read brought, since a
// line has one handle. The others, and one that nobody claimed, are closed.
func (c *Channel) keepPassed(descriptors []int) {
	if len(descriptors) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropPassed()
	c.passed = passed{descriptors[0], c.received}
	for _, fd := range descriptors[1:] {
		discard(fd)
	}
	if c.ended {
		c.dropPassed()
	}
}

// takePassed returns the descriptor that came with the line that began at
// start, or -1. One that came before that line belonged to no handle.
func (c *Channel) takePassed(start int64) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.passed.end <= start {
		c.dropPassed()
	}
	fd := c.passed.fd
	c.passed.fd = -1
	return fd
}

// dropPassed closes what nobody claimed. The caller has c.mu.
func (c *Channel) dropPassed() {
	if c.passed.fd >= 0 {
		discard(c.passed.fd)
		c.passed.fd = -1
	}
}

// discard closes a descriptor that nobody wants.
func discard(fd int) {
	noLinger(fd)
	unix.Close(fd)
}

// noLinger undoes an SO_LINGER of the peer: the close of a socket that it has
// filled would hang for as long as it likes.
func noLinger(fd int) {
	unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{})
}
