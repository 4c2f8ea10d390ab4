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

// HideChannel keeps what this process starts from inheriting the channel that its own parent may
// have left. Call it first in a program that starts others and does not call Parent.
func HideChannel() { Parent() }

// Parent returns the channel to the process that forked this one, or ErrNotForked. Call
// it once, first in main: it removes the channel's variables from the environment and
// marks the descriptor close-on-exec, so that no grandchild inherits the channel. A Node
// child does the same before it runs any user code.
func (cfg Config) Parent() (*Channel, error) {
	number, mode := os.Getenv(channelFD), os.Getenv(serializationMode)
	os.Unsetenv(channelFD)
	os.Unsetenv(serializationMode)
	if number == "" {
		return nil, ErrNotForked
	}
	parsed, err := strconv.ParseInt(number, 10, 32) // the kernel would truncate a longer one
	if err != nil || parsed < 0 {
		return nil, fmt.Errorf("%s=%q is not a descriptor", channelFD, number)
	}
	fd := int(parsed)
	// If the parent did not open this number, it may be the runtime's own epoll by
	// now: change nothing before it has proved to be a channel.
	address, _ := unix.Getsockname(fd) // nil if fd is not a socket
	kind, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if _, local := address.(*unix.SockaddrUnix); !local || kind != unix.SOCK_STREAM {
		return nil, fmt.Errorf("%s=%d is not an open AF_UNIX stream socket", channelFD, fd)
	}
	syscall.CloseOnExec(fd)
	if mode != "" && mode != "json" {
		unix.Close(fd)
		return nil, fmt.Errorf("%s=%q: only json is supported", serializationMode, mode)
	}
	c := newChannel(fd, cfg)
	c.step("parent", "descriptor %d, from %s, is a channel: set close-on-exec, variables unset", fd, channelFD)
	return c, nil
}
