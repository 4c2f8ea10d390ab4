package cluster

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// acceptConn is accept(2). The connection is close-on-exec from the start: a child must not
// inherit it. And it is non-blocking, as whichever worker gets it expects. (Package unix would ask
// each connection for its protocol.)
func acceptConn(fd int) (int, error) {
	conn, _, err := syscall.Accept4(fd, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
	return conn, err
}

// backlog returns how many connections wait in the kernel for a listening TCP socket, for
// which tcpi_unacked counts them. It returns 0 for other sockets.
func backlog(fd int) int {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil || info.State != unix.BPF_TCP_LISTEN {
		return 0
	}
	return int(info.Unacked)
}
