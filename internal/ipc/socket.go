package ipc

import (
	"os"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// socket is one end of a connected pair. Its calls block in the kernel and not in Go's
// poller: a message then wakes the waiting thread itself, which takes a third less time,
// and costs a thread per channel. See Config.Poll.
type socket struct {
	mu   sync.RWMutex    // read-locked during a call, so that fd is not closed meanwhile
	fd   int             // -1 once closed
	file *os.File        // the owner of fd, if reads wait in Go's poller; or nil
	raw  syscall.RawConn // of file
}

func wrapSocket(fd int, poll bool) *socket {
	s := &socket{fd: fd}
	if poll {
		unix.SetNonblock(fd, true)
		s.file = os.NewFile(uintptr(fd), "channel")
		s.raw, _ = s.file.SyscallConn() // every file has one
	}
	return s
}

// send writes all of out, and rights with its first byte. It returns early only with an
// error; with MSG_DONTWAIT that may be EAGAIN.
func (s *socket) send(out, rights []byte, flags int) (n int, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for n < len(out) {
		if s.fd < 0 {
			return n, unix.EPIPE
		}
		some, err := unix.SendmsgN(s.fd, out[n:], rights, nil, flags|sendFlags)
		switch {
		case err == nil:
			n, rights = n+some, nil
		case err == unix.EAGAIN && flags&unix.MSG_DONTWAIT == 0:
			s.waitReady(unix.POLLOUT)
		case err != unix.EINTR:
			return n, err
		}
	}
	return n, nil
}

// receive reads once. At the end of the stream it returns no bytes and no error.
func (s *socket) receive(buf, oob []byte, flags int) (n, oobn int, err error) {
	// This thread is about to leave Go's scheduler. On a single CPU, other goroutines
	// would wait until the runtime notices: a round trip then takes 1.7 times as long,
	// and 3.5 times with a second goroutine in it.
	if s.file == nil {
		runtime.Gosched()
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	for {
		if s.fd < 0 {
			return 0, 0, nil
		}
		n, oobn, err := s.receiveOnce(buf, oob, flags)
		switch {
		case err == nil:
			return n, oobn, nil
		case err == unix.EAGAIN && flags&unix.MSG_DONTWAIT == 0:
			s.waitReady(unix.POLLIN)
		case err != unix.EINTR:
			return 0, 0, err
		}
	}
}

func (s *socket) receiveOnce(buf, oob []byte, flags int) (n, oobn int, err error) {
	if s.file == nil || flags&unix.MSG_DONTWAIT != 0 {
		n, oobn, _, _, err = unix.Recvmsg(s.fd, buf, oob, flags|receiveFlags)
		return n, oobn, err
	}
	waitErr := s.raw.Read(func(uintptr) bool {
		n, oobn, _, _, err = unix.Recvmsg(s.fd, buf, oob, flags|receiveFlags)
		return err != unix.EAGAIN
	})
	if waitErr != nil { // the poller has no room for it
		return 0, 0, waitErr
	}
	return n, oobn, err
}

// waitReady serves an inherited channel that another process has set O_NONBLOCK on. We must not
// clear the flag: that process may still use its copy of the channel.
func (s *socket) waitReady(event int16) {
	unix.Poll([]unix.PollFd{{Fd: int32(s.fd), Events: event}}, -1)
}

// peerClosed reports whether the peer has closed its end.
func (s *socket) peerClosed() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	end := []unix.PollFd{{Fd: int32(s.fd)}} // poll ignores a negative one
	unix.Poll(end, 0)
	return s.fd < 0 || end[0].Revents&unix.POLLHUP != 0
}

// hasUnread reports whether the kernel holds bytes for us.
func (s *socket) hasUnread() bool {
	n, _, _ := s.receive(make([]byte, 1), nil, unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return n > 0
}

// shutdown ends one direction or both, and wakes the threads that wait for it. close(2)
// would leave them waiting.
func (s *socket) shutdown(how int) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	unix.Shutdown(s.fd, how)
}

// close wakes the threads that wait for the socket, waits until they have left their
// calls, and closes it.
func (s *socket) close() {
	s.shutdown(unix.SHUT_RDWR)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file != nil {
		s.file.Close()
	} else {
		unix.Close(s.fd)
	}
	s.fd = -1
}
