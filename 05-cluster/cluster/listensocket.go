package cluster

import (
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// listenSocket is a listening socket that can accept without waiting, which a net.Listener
// cannot.
type listenSocket struct{ file *os.File }

func newListenSocket(fd int, name string) listenSocket {
	unix.SetNonblock(fd, true) // for Go's poller
	return listenSocket{os.NewFile(uintptr(fd), name)}
}

// accept returns the next connection, or noConn if none waits.
func (s listenSocket) accept() (conn connFD) {
	conn = noConn
	control(s.file, func(fd int) { conn, _ = accept(fd) })
	return conn
}

// wait waits for the next connection. After interrupt, and until arm, it returns noConn, nil; so
// it does after close.
func (s listenSocket) wait() (conn connFD, err error) {
	raw, _ := s.file.SyscallConn() // every file has one
	ended := raw.Read(func(fd uintptr) bool {
		conn, err = accept(int(fd))
		return err != unix.EAGAIN
	})
	if ended != nil {
		return noConn, nil
	}
	return conn, err
}

func (s listenSocket) interrupt() { s.file.SetReadDeadline(time.Unix(1, 0)) }
func (s listenSocket) arm()       { s.file.SetReadDeadline(time.Time{}) }
func (s listenSocket) close()     { s.file.Close() }

// backlogOf returns how many connections wait at a listening socket, as far as that is known.
func backlogOf(socket *os.File) (n int) {
	control(socket, func(fd int) { n = backlog(fd) })
	return n
}

// control calls f with the descriptor of a file that is open.
func control(file *os.File, f func(fd int)) {
	if raw, err := file.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { f(int(fd)) })
	}
}

func accept(fd int) (connFD, error) {
	for {
		conn, err := acceptConn(fd)
		switch err {
		case nil:
			return connFD(conn), nil
		case unix.EINTR, unix.ECONNABORTED: // that client is gone
		default:
			return noConn, err
		}
	}
}

// connFD is a connection as a plain descriptor: this process does not use it, and only passes it
// on. An os.File would cost three more system calls.
type connFD int

const noConn connFD = -1

func (c connFD) close() { unix.Close(int(c)) }

// reset closes the connection so that its client gets an error.
func (c connFD) reset() {
	unix.SetsockoptLinger(int(c), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	c.close()
}

// peer returns the client's address of a TCP connection. An IPv4 client has its IPv4 address,
// also on a socket for both families.
func (c connFD) peer() netip.AddrPort {
	switch peer, _ := unix.Getpeername(int(c)); peer := peer.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(peer.Addr), uint16(peer.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(peer.Addr).Unmap(), uint16(peer.Port))
	}
	return netip.AddrPort{}
}

// file returns a copy of the connection, for a sender that may wait while it is closed here.
func (c connFD) file() (*os.File, error) {
	fd, err := unix.FcntlInt(uintptr(c), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(fd), "connection"), nil
}
