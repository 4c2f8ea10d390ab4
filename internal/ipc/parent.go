package ipc

import (
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Parent returns the channel to the process that forked this one. It is
// Config{}.Parent().
func Parent() (*Channel, error) { return Config{}.Parent() }

// Parent returns the channel to the process that forked this one, or
// ErrNotForked. Call it first in main, and once: it takes the channel out of
// the environment and marks it close-on-exec, so that no grandchild inherits
// either. Node's child does the same before it runs any user code.
func (cfg Config) Parent() (*Channel, error) {
	number, mode := os.Getenv(channelFD), os.Getenv(serializationMode)
	os.Unsetenv(channelFD)
	os.Unsetenv(serializationMode)
	if number == "" {
		return nil, ErrNotForked
	}
	parsed, err := strconv.ParseInt(number, 10, 32) // the kernel would cut off the rest
	if err != nil || parsed < 0 {
		return nil, fmt.Errorf("%s=%q is not a descriptor", channelFD, number)
	}
	fd := int(parsed)
	// A number that nobody opened may be the runtime's own epoll by now:
	// touch it only once it has proved to be a channel.
	if !isStreamSocket(fd) {
		return nil, fmt.Errorf("%s=%d is not an open AF_UNIX stream socket", channelFD, fd)
	}
	syscall.CloseOnExec(fd)
	if mode != "" && mode != "json" {
		unix.Close(fd)
		return nil, fmt.Errorf("%s=%q: only json is spoken here", serializationMode, mode)
	}
	c := newChannel(fd, cfg)
	c.step("parent", "descriptor %d, by %s, is a channel: set close-on-exec, variables unset", fd, channelFD)
	return c, nil
}

func isStreamSocket(fd int) bool {
	address, err := unix.Getsockname(fd)
	if err != nil {
		return false
	}
	_, local := address.(*unix.SockaddrUnix)
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	return local && err == nil && kind == unix.SOCK_STREAM
}
