package cluster

import "golang.org/x/sys/unix"

// backlog returns how many connections wait in the kernel for a listening TCP socket, for
// which tcpi_unacked counts them. It returns 0 for other sockets.
func backlog(fd int) int {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil || info.State != unix.BPF_TCP_LISTEN {
		return 0
	}
	return int(info.Unacked)
}
