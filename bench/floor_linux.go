package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// floor measures what the system calls alone cost: blocking ones, which the Go scheduler does
// not see, on a socket pair. Nothing is encoded or decoded.
func floor(args []string) (float64, error) {
	flags := flag.NewFlagSet("floor", flag.ContinueOnError)
	cpu := flags.String("child-cpu", "", "the CPU of the child")
	size := flags.Int("size", smallSize, "bytes of a message")
	batch := flags.Int("batch", 1, "messages in one call")
	if err := flags.Parse(args[1:]); err != nil {
		return 0, err
	}
	sends := sendsOf(*size)
	child, err := startFloor(*cpu, args[0], strconv.Itoa(*size**batch*sends))
	if err != nil {
		return 0, err
	}
	defer child.end()
	switch args[0] {
	case "roundtrip":
		rate, err := callsPerSecond(1, func() error { return child.talk(make([]byte, smallSize)) })
		return 1e6 / rate, err
	case "oneway":
		bytes := make([]byte, *size**batch)
		rate, err := callsPerSecond(1, func() error { return child.sendWindow(bytes, sends) })
		return rate * float64(sends**batch), err
	case "handles":
		return callsPerSecond(1, child.sendHandle)
	}
	return 0, fmt.Errorf("floor: there is no %q", args[0])
}

// floorProcess is a child at the other end of a blocking socket pair.
type floorProcess struct {
	cmd   *exec.Cmd
	fd    int
	onWay int // windows without an answer
}

// startFloor starts this program as a child, on a CPU of its own if cpu is not "".
func startFloor(cpu string, args ...string) (*floorProcess, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	command := append([]string{self, "role", "floor"}, args...)
	if cpu != "" {
		command = append([]string{"taskset", "-c", cpu}, command...)
	}
	p := &floorProcess{cmd: exec.Command(command[0], command[1:]...), fd: fds[0]}
	peer := os.NewFile(uintptr(fds[1]), "")
	defer peer.Close()
	p.cmd.ExtraFiles, p.cmd.Stderr = []*os.File{peer}, os.Stderr
	return p, p.cmd.Start()
}

func (p *floorProcess) end() {
	unix.Close(p.fd)
	p.cmd.Wait()
}

// talk makes one round trip.
func (p *floorProcess) talk(message []byte) error {
	if err := rawWrite(p.fd, message); err != nil {
		return err
	}
	_, err := rawRead(p.fd, message)
	return err
}

// sendWindow writes one window, and waits for the answer to the window before.
func (p *floorProcess) sendWindow(bytes []byte, sends int) error {
	for range sends {
		if err := rawWrite(p.fd, bytes); err != nil {
			return err
		}
	}
	if p.onWay++; p.onWay < 2 {
		return nil
	}
	p.onWay--
	_, err := rawRead(p.fd, make([]byte, 1))
	return err
}

// sendHandle sends a descriptor, and waits for the acknowledgement.
func (p *floorProcess) sendHandle() error {
	if err := unix.Sendmsg(p.fd, make([]byte, smallSize), unix.UnixRights(p.fd), nil, 0); err != nil {
		return err
	}
	_, err := rawRead(p.fd, make([]byte, smallSize))
	return err
}

// floorChild is the other end: floor WHAT BYTES, with the bytes of a window.
func floorChild(args []string) error {
	const parent = 3
	buffer := make([]byte, 64<<10)
	window, err := strconv.Atoi(args[1])
	for received := 0; err == nil; {
		n := 0
		switch args[0] {
		case "roundtrip":
			if n, err = rawRead(parent, buffer); err == nil {
				err = rawWrite(parent, buffer[:n])
			}
		case "oneway":
			if n, err = rawRead(parent, buffer); err == nil && (received+n)/window > received/window {
				err = rawWrite(parent, buffer[:1])
			}
			received += n
		case "handles":
			err = acknowledge(parent, buffer)
		}
	}
	return nil // the parent has what it needs
}

// acknowledge receives a descriptor.
func acknowledge(fd int, buffer []byte) error {
	rights := make([]byte, unix.CmsgSpace(4))
	n, m, _, _, err := unix.Recvmsg(fd, buffer, rights, unix.MSG_CMSG_CLOEXEC)
	if err != nil || n == 0 || m == 0 {
		return syscall.EPIPE
	}
	unix.Close(int(*(*int32)(unsafe.Pointer(&rights[unix.CmsgLen(0)]))))
	return rawWrite(fd, buffer[:n])
}

// rawWrite writes all bytes.
func rawWrite(fd int, bytes []byte) error {
	for len(bytes) > 0 {
		n, err := rawCall(syscall.SYS_WRITE, fd, bytes)
		if err != nil {
			return err
		}
		bytes = bytes[n:]
	}
	return nil
}

func rawRead(fd int, bytes []byte) (int, error) {
	n, err := rawCall(syscall.SYS_READ, fd, bytes)
	if err == nil && n == 0 {
		err = syscall.EPIPE
	}
	return n, err
}

// rawCall reads or writes. A signal, such as the Go runtime's own, interrupts it.
func rawCall(call uintptr, fd int, bytes []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(&bytes[0])), uintptr(len(bytes)))
		if errno == 0 {
			return int(n), nil
		}
		if errno != syscall.EINTR {
			return 0, errno
		}
	}
}
