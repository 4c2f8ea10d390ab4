package cluster

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// acceptConn is accept(2). The connection is non-blocking, as whichever worker gets it expects.
// ForkLock keeps a child from inheriting it.
func acceptConn(fd int) (int, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	conn, _, err := unix.Accept(fd)
	if err != nil {
		return -1, err
	}
	unix.CloseOnExec(conn)
	if err := unix.SetNonblock(conn, true); err != nil {
		unix.Close(conn)
		return -1, err
	}
	return conn, nil
}

// backlog cannot tell how many connections wait in the kernel of macOS.
func backlog(int) int { return 0 }
