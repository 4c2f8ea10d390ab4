package cluster

import (
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// open opens the socket that a worker asks for, as libuv does; package net has opinions
// of its own, as that 0.0.0.0 means IPv6 as well. A stream socket listens. The error is
// what the worker is told.
func open(q query) (fd int, err syscall.Errno) {
	if q.FD != nil && *q.FD >= 0 { // a descriptor of ours, which may be anything
		return -1, unix.ENOTSUP
	}
	switch kind := q.kind(); kind {
	case "-1":
		return openUnix(q)
	case "4", "6":
		if q.Address == nil { // any: IPv6 and IPv4, or the one that there is
			any := netip.IPv6Unspecified()
			if fd, err := openIP(q, unix.SOCK_STREAM, any); err == 0 {
				return fd, 0
			}
			return openIP(q, unix.SOCK_STREAM, netip.IPv4Unspecified())
		}
		return openAt(q, unix.SOCK_STREAM)
	case "udp4", "udp6":
		return openAt(q, unix.SOCK_DGRAM)
	}
	return -1, unix.EINVAL
}

// openAt opens at an IP address: a name would have been looked up by the worker.
func openAt(q query, kind int) (fd int, err syscall.Errno) {
	if q.Address == nil {
		return -1, unix.EINVAL
	}
	address, bad := netip.ParseAddr(*q.Address)
	if bad != nil || address.Is4() == strings.HasSuffix(q.kind(), "6") {
		return -1, unix.EINVAL
	}
	return openIP(q, kind, address)
}

func openIP(q query, kind int, address netip.Addr) (fd int, err syscall.Errno) {
	port := 0 // UDP may leave it out
	if q.Port != nil {
		port = *q.Port
	}
	if port < 0 || port > 65535 {
		return -1, unix.EINVAL
	}
	flags := 0
	if q.Flags != nil {
		flags = *q.Flags
	}
	s := socket{backlog: q.backlog()}
	s.reuse = kind == unix.SOCK_STREAM || flags&flagReuseAddr != 0
	if address.Is4() {
		return s.open(unix.AF_INET, kind, &unix.SockaddrInet4{Port: port, Addr: address.As4()})
	}
	s.v6Only = flags&flagV6Only != 0
	return s.open(unix.AF_INET6, kind, &unix.SockaddrInet6{Port: port, Addr: address.As16(), ZoneId: zone(address)})
}

// zone is the number of the network interface that an address belongs to, or 0.
func zone(address netip.Addr) uint32 {
	if i, err := net.InterfaceByName(address.Zone()); err == nil {
		return uint32(i.Index)
	}
	n, _ := strconv.ParseUint(address.Zone(), 10, 32)
	return uint32(n)
}

func openUnix(q query) (fd int, err syscall.Errno) {
	if q.Address == nil || *q.Address == "" {
		return -1, unix.EINVAL
	}
	fd, err = socket{backlog: q.backlog()}.open(unix.AF_UNIX, unix.SOCK_STREAM, &unix.SockaddrUnix{Name: *q.Address})
	if err == unix.ENOENT {
		err = unix.EACCES // as libuv says it
	}
	if err == 0 {
		q.letIn()
	}
	return fd, err
}

// letIn lets other users use a Unix socket. That it could not be is not told: the socket
// is there, and would have been closed without.
func (q query) letIn() {
	var more os.FileMode
	if q.ReadableAll {
		more |= 0o444
	}
	if q.WritableAll {
		more |= 0o222
	}
	if now, err := os.Stat(*q.Address); err == nil && more != 0 {
		os.Chmod(*q.Address, now.Mode()|more)
	}
}

// socket is how a socket shall be.
type socket struct {
	reuse, v6Only bool
	backlog       int
}

func (s socket) open(family, kind int, address unix.Sockaddr) (fd int, errno syscall.Errno) {
	syscall.ForkLock.RLock() // no child shall have it
	fd, err := unix.Socket(family, kind, 0)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err == nil {
		err = s.bind(fd, family, kind, address)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err.(syscall.Errno)
	}
	return fd, 0
}

func (s socket) bind(fd, family, kind int, address unix.Sockaddr) error {
	if s.reuse {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
			return err
		}
	}
	if family == unix.AF_INET6 {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, number(s.v6Only)); err != nil {
			return err
		}
	}
	if err := unix.Bind(fd, address); err != nil {
		return err
	}
	if kind == unix.SOCK_DGRAM {
		return nil
	}
	return unix.Listen(fd, s.backlog)
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

// socknameOf is the address of an IP socket in Node's words, or nil.
func socknameOf(fd int) *sockname {
	address, _ := unix.Getsockname(fd)
	switch a := address.(type) {
	case *unix.SockaddrInet4:
		return &sockname{netip.AddrFrom4(a.Addr).String(), "IPv4", a.Port}
	case *unix.SockaddrInet6:
		ip := netip.AddrFrom16(a.Addr)
		if i, err := net.InterfaceByIndex(int(a.ZoneId)); err == nil {
			ip = ip.WithZone(i.Name)
		}
		return &sockname{ip.String(), "IPv6", a.Port}
	}
	return nil
}
