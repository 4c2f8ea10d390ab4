package ipc

import (
	"os"

	"golang.org/x/sys/unix"
)

const (
	// receiveFlags: received descriptors are close-on-exec from the start.
	receiveFlags = unix.MSG_CMSG_CLOEXEC
	// shutdownKeepsQueue: after SHUT_RD, what is queued can still be read.
	shutdownKeepsQueue = true
	// sendFlags: a dead peer is an error and not a signal.
	sendFlags = unix.MSG_NOSIGNAL
)

// socketpair makes the two ends of a channel. Both are close-on-exec, so that a program
// that another goroutine starts at this moment does not inherit them.
func socketpair() (parentFD, childFD int, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, -1, os.NewSyscallError("socketpair", err)
	}
	return fds[0], fds[1], nil
}

// closeOnExec has nothing to do: MSG_CMSG_CLOEXEC did it.
func closeOnExec([]int) {}
