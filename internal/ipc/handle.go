package ipc

import (
	"fmt"
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

// Listener takes the message's handle, which must be a listening socket. The
// caller closes it. A message and its copies are for one goroutine at a time.
func (m Message) Listener() (net.Listener, error) {
	return take(m.handle, kindServer, net.FileListener)
}

// Conn takes the message's handle, which must be a connection. The caller
// closes it.
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

// SyscallConn lets the connection be passed on.
func (c *countedConn) SyscallConn() (syscall.RawConn, error) {
	return c.Conn.(syscall.Conn).SyscallConn()
}

// passed is a descriptor that arrived before its line was complete.
type passed struct {
	fd  int
	end int64 // where in the stream the read that brought it ended
}

// maxPassed: a descriptor travels with a byte of its line, and a read ends
// after it. So when a line completes, there can be its own descriptor and that
// of the next line; more than these belong to nothing.
const maxPassed = 2

// addPassed keeps the first of the descriptors that one read brought, since a
// line has one handle, and closes the others.
func (c *Channel) addPassed(descriptors []int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, fd := range descriptors {
		if i > 0 || c.ended || len(c.passed) == maxPassed {
			unix.Close(fd)
			continue
		}
		c.passed = append(c.passed, passed{fd, c.received})
	}
}

// takePassed returns the descriptor that came with the present line, or -1.
func (c *Channel) takePassed() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.passed) == 0 {
		return -1
	}
	fd := c.passed[0].fd
	c.passed = c.passed[1:]
	return fd
}

// dropPassed closes the descriptors that no line after start can claim. The
// caller has c.mu.
func (c *Channel) dropPassed(start int64) {
	for len(c.passed) > 0 && c.passed[0].end <= start {
		unix.Close(c.passed[0].fd)
		c.passed = c.passed[1:]
	}
}
