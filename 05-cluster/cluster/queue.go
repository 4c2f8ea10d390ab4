package cluster

import (
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// queue is a listening socket, of which one can take what has come without waiting for
// more; a net.Listener cannot. What it takes are plain descriptors: this process only
// passes them on.
type queue struct {
	file *os.File
	raw  syscall.RawConn
}

func newQueue(fd int, name string) queue {
	unix.SetNonblock(fd, true) // for Go's poller
	file := os.NewFile(uintptr(fd), name)
	raw, _ := file.SyscallConn() // there is always one
	return queue{file, raw}
}

// take takes the next connection, or nil if there is none.
func (q queue) take() (conn *os.File) {
	q.raw.Control(func(fd uintptr) { conn, _ = accept(int(fd)) })
	return conn
}

// wait waits for the next connection. It is nil without an error after interrupt, until
// arm, or after close.
func (q queue) wait() (conn *os.File, err error) {
	ended := q.raw.Read(func(fd uintptr) bool {
		conn, err = accept(int(fd))
		return err != unix.EAGAIN
	})
	if ended != nil {
		return nil, nil
	}
	return conn, err
}

func (q queue) len() int { return backlogOf(q.file) }

func (q queue) interrupt() { q.file.SetReadDeadline(time.Unix(1, 0)) }
func (q queue) arm()       { q.file.SetReadDeadline(time.Time{}) }
func (q queue) close()     { q.file.Close() }

// backlogOf is how many connections wait for a listening socket, as far as is known.
func backlogOf(socket *os.File) (n int) {
	if raw, err := socket.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { n = backlog(int(fd)) })
	}
	return n
}

func accept(fd int) (*os.File, error) {
	syscall.ForkLock.RLock() // no child shall have it
	defer syscall.ForkLock.RUnlock()
	for {
		conn, _, err := unix.Accept(fd)
		switch err {
		case nil:
			unix.CloseOnExec(conn)
			return os.NewFile(uintptr(conn), "connection"), nil
		case unix.EINTR, unix.ECONNABORTED: // that one has gone
		default:
			return nil, err
		}
	}
}

// reset ends a connection so that its client knows that something went wrong.
func reset(conn *os.File) {
	if raw, err := conn.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) {
			unix.SetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		})
	}
	conn.Close()
}
