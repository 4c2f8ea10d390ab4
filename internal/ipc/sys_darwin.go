package ipc

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// macOS has neither of Linux's flags. Go's runtime handles SIGPIPE.
const receiveFlags, sendFlags = 0, 0

// shutdownKeepsQueue: SHUT_RD discards what is queued.
const shutdownKeepsQueue = false

// socketpair makes the two ends of a channel. ForkLock keeps other goroutines from
// starting a program before the descriptors are close-on-exec.
func socketpair() (parentFD, childFD int, err error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return -1, -1, os.NewSyscallError("socketpair", err)
	}
	closeOnExec(fds[:])
	return fds[0], fds[1], nil
}

// closeOnExec marks received descriptors. A program that is started between their arrival
// and this call still inherits them: the blocking read that brings them cannot hold
// ForkLock.
func closeOnExec(fds []int) {
	for _, fd := range fds {
		unix.CloseOnExec(fd)
	}
}
