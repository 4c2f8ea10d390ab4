package cluster

import "golang.org/x/sys/unix"

// backlog is how many connections wait in the kernel for a listening TCP socket: there
// tcpi_unacked stands for that. It is 0 for other sockets.
func backlog(fd int) int {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil || info.State != unix.BPF_TCP_LISTEN {
		return 0
	}
	return int(info.Unacked)
}
