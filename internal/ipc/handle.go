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

// Kind is what kind of handle a message has, by Node's names.
type Kind string

// The kinds of handles. A socket that is bound and does not listen counts as a connection,
// as in Node; Listener takes it all the same.
const (
	NoHandle       Kind = ""
	KindListener   Kind = "net.Server"   // a listening TCP or Unix socket
	KindConn       Kind = "net.Socket"   // a connection over either
	KindPacketConn Kind = "dgram.Socket" // a UDP socket
)

// natives are Node's names for the same handles where its receiver must pass them on as they
// are: its cluster module wraps them itself.
var natives = map[Kind]Kind{
	KindListener:   "net.Native",
	KindConn:       "net.Native",
	KindPacketConn: "dgram.Native",
}

// handle is a received socket that the program has not taken yet.
type handle struct {
	file   *os.File
	kind   Kind
	closed func() // called when the socket is closed, for Node's count; may be nil
	lost   error  // why there is no socket, or nil
}

// kindOf returns the kind of a descriptor and, for a UDP socket, its address family in
// Node's words. A descriptor that Node cannot rebuild is ErrNotAHandle.
func kindOf(fd int) (kind Kind, family string, err error) {
	address, _ := unix.Getsockname(fd) // nil if fd is not a socket
	socketType, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
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
		return KindListener, "", nil
	case socketType == unix.SOCK_STREAM:
		return KindConn, "", nil
	case socketType == unix.SOCK_DGRAM && family != "":
		return KindPacketConn, family, nil
	}
	return "", "", ErrNotAHandle
}

// Kind returns the kind of the message's handle, or NoHandle if it has none, or none any more.
func (m Message) Kind() Kind {
	if m.handle == nil || m.handle.file == nil {
		return NoHandle
	}
	return m.handle.kind
}

// Listener takes the message's handle, which must be a listening socket, or a bound socket
// that does not listen yet: Listener then makes it listen. A Node primary sends the second
// kind if its workers accept themselves (cluster.SCHED_NONE). The caller closes the
// listener. A message and its copies are for one goroutine at a time.
func (m Message) Listener() (net.Listener, error) {
	if m.handle != nil && m.handle.file != nil && m.handle.kind == KindConn {
		if err := listen(m.handle); err != nil {
			return nil, err
		}
	}
	return take(m.handle, KindListener, net.FileListener)
}

// listen makes a socket listen that is not a connection.
func listen(h *handle) error {
	raw, err := h.file.SyscallConn()
	if err != nil {
		return fmt.Errorf("take handle: %w", err)
	}
	ctl := raw.Control(func(fd uintptr) {
		if _, err = unix.Getpeername(int(fd)); err != unix.ENOTCONN {
			err = fmt.Errorf("%w: %s", ErrNoHandle, KindListener)
			return
		}
		// The kernel limits the backlog to net.core.somaxconn.
		err = unix.Listen(int(fd), math.MaxUint16)
	})
	if err = errors.Join(ctl, err); err != nil {
		return fmt.Errorf("take handle: %w", err)
	}
	h.kind = KindListener
	return nil
}

// Conn takes the message's handle, which must be a connection. The caller closes it. A
// connection that a Node server has accepted is wrapped, so that its Close is reported to
// that server; NetConn on the wrapper returns the connection itself, as on a tls.Conn.
func (m Message) Conn() (net.Conn, error) {
	conn, err := take(m.handle, KindConn, net.FileConn)
	if err != nil || m.handle.closed == nil {
		return conn, err
	}
	return &countedConn{Conn: conn, closed: sync.OnceFunc(m.handle.closed)}, nil
}

// PacketConn takes the message's handle, which must be a UDP socket. The caller closes it.
func (m Message) PacketConn() (net.PacketConn, error) {
	return take(m.handle, KindPacketConn, net.FilePacketConn)
}

// Close closes the message's handle, if it has one that was not taken.
func (m Message) Close() error {
	if m.handle == nil || m.handle.file == nil {
		return nil
	}
	noLinger(int(m.handle.file.Fd()))
	err := m.handle.file.Close()
	m.handle.file = nil
	if m.handle.closed != nil {
		m.handle.closed()
	}
	return err
}

// Move returns the message with its handle, which m and its copies have no more.
func (m Message) Move() Message {
	if m.handle != nil {
		moved := *m.handle
		m.handle.file = nil
		m.handle = &moved
	}
	return m
}

// take converts a handle with open, once.
func take[T any](h *handle, kind Kind, open func(*os.File) (T, error)) (socket T, err error) {
	if h != nil && h.lost != nil {
		return socket, h.lost
	}
	if h == nil || h.file == nil || h.kind != kind {
		return socket, fmt.Errorf("%w: %s", ErrNoHandle, kind)
	}
	socket, err = open(h.file) // duplicates the descriptor
	if err != nil {
		return socket, fmt.Errorf("take handle: %w", err)
	}
	h.file.Close()
	h.file = nil
	return socket, nil
}

// countedConn is a connection that reports its Close, which the Node sender counts.
type countedConn struct {
	net.Conn
	closed func()
}

func (c *countedConn) Close() error {
	defer c.closed()
	return c.Conn.Close()
}

func (c *countedConn) NetConn() net.Conn { return c.Conn }

// SyscallConn lets the connection be sent on.
func (c *countedConn) SyscallConn() (syscall.RawConn, error) {
	return c.Conn.(syscall.Conn).SyscallConn()
}
