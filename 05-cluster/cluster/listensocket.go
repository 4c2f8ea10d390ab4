package cluster

import (
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// listenSocket is a listening socket that can accept without waiting, which a net.Listener
// cannot. It returns plain descriptors, because this process only passes them on.
type listenSocket struct{ file *os.File }

func newListenSocket(fd int, name string) listenSocket {
	unix.SetNonblock(fd, true) // for Go's poller
	return listenSocket{os.NewFile(uintptr(fd), name)}
}

// accept returns the next connection, or nil if none waits.
func (s listenSocket) accept() (conn *os.File) {
	control(s.file, func(fd int) { conn, _ = accept(fd) })
	return conn
}

// wait waits for the next connection. After interrupt, and until arm, it returns nil, nil; so
// it does after close.
func (s listenSocket) wait() (conn *os.File, err error) {
	raw, _ := s.file.SyscallConn() // every file has one
	ended := raw.Read(func(fd uintptr) bool {
		conn, err = accept(int(fd))
		return err != unix.EAGAIN
	})
	if ended != nil {
		return nil, nil
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

func accept(fd int) (*os.File, error) {
	syscall.ForkLock.RLock() // a child must not inherit it
	defer syscall.ForkLock.RUnlock()
	for {
		conn, _, err := unix.Accept(fd)
		switch err {
		case nil:
			unix.CloseOnExec(conn)
			return os.NewFile(uintptr(conn), "connection"), nil
		case unix.EINTR, unix.ECONNABORTED: // that client is gone
		default:
			return nil, err
		}
	}
}

// reset closes a connection so that its client gets an error.
func reset(conn *os.File) {
	control(conn, func(fd int) {
		unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	})
	conn.Close()
}

// peer returns the client's address of a TCP connection. An IPv4 client has its IPv4 address,
// also on a socket for both families.
func peer(conn *os.File) (address netip.AddrPort) {
	control(conn, func(fd int) {
		switch peer, _ := unix.Getpeername(fd); peer := peer.(type) {
		case *unix.SockaddrInet4:
			address = netip.AddrPortFrom(netip.AddrFrom4(peer.Addr), uint16(peer.Port))
		case *unix.SockaddrInet6:
			address = netip.AddrPortFrom(netip.AddrFrom16(peer.Addr).Unmap(), uint16(peer.Port))
		}
	})
	return address
}

// control calls f with the descriptor of a file that is open.
func control(file *os.File, f func(fd int)) {
	if raw, err := file.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { f(int(fd)) })
	}
}
