package cluster

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// openSocket opens the socket that a worker asks for. With the policy None it does not listen:
// as under Node's primary, the workers make it listen, and without them its clients are refused.
// The worker gets the errno in the error.
func openSocket(q query, policy Policy) (fd int, err error) {
	fd, err = bindSocket(q)
	if err != nil || policy == None {
		return fd, err
	}
	if err := unix.Listen(fd, q.backlog()); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// bindSocket opens a socket and binds it, as libuv does. (Package net differs: its 0.0.0.0
// includes IPv6.)
func bindSocket(q query) (fd int, err error) {
	if q.FD != nil && *q.FD >= 0 { // one of our descriptors, which could be anything
		return -1, unix.ENOTSUP
	}
	switch q.kind() {
	case "-1":
		return openUnix(q)
	case "4", "6":
		if q.Address != nil {
			return openAddress(q, unix.SOCK_STREAM)
		}
		// Any address: IPv6 and IPv4, or IPv4 alone.
		if fd, err := openIP(q, unix.SOCK_STREAM, netip.IPv6Unspecified()); err == nil {
			return fd, nil
		}
		return openIP(q, unix.SOCK_STREAM, netip.IPv4Unspecified())
	case "udp4", "udp6":
		return openAddress(q, unix.SOCK_DGRAM)
	}
	return -1, unix.EINVAL
}

// openAddress opens a socket at an IP address. Workers look up names themselves.
func openAddress(q query, kind int) (fd int, err error) {
	if q.Address == nil {
		return -1, unix.EINVAL
	}
	address, err := netip.ParseAddr(*q.Address)
	if err != nil || address.Is4() == strings.HasSuffix(q.kind(), "6") {
		return -1, unix.EINVAL
	}
	return openIP(q, kind, address)
}

func openIP(q query, kind int, address netip.Addr) (fd int, err error) {
	port := 0 // for UDP it may be missing
	if q.Port != nil {
		port = *q.Port
	}
	if port < 0 || port > 65535 {
		return -1, unix.EINVAL
	}
	if address.Is4() {
		return q.open(unix.AF_INET, kind, &unix.SockaddrInet4{Port: port, Addr: address.As4()})
	}
	return q.open(unix.AF_INET6, kind, &unix.SockaddrInet6{Port: port, Addr: address.As16(), ZoneId: zone(address)})
}

// zone returns the number of the network interface that an address belongs to, or 0.
func zone(address netip.Addr) uint32 {
	if i, err := net.InterfaceByName(address.Zone()); err == nil {
		return uint32(i.Index)
	}
	n, _ := strconv.ParseUint(address.Zone(), 10, 32)
	return uint32(n)
}

func openUnix(q query) (fd int, err error) {
	if q.Address == nil || *q.Address == "" {
		return -1, unix.EINVAL
	}
	name, err := unixName(*q.Address)
	if err != nil {
		return -1, err
	}
	fd, err = q.open(unix.AF_UNIX, unix.SOCK_STREAM, &unix.SockaddrUnix{Name: name})
	if err == unix.ENOENT {
		err = unix.EACCES // as libuv reports it
	}
	if err == nil {
		q.chmodSocket()
	}
	return fd, err
}

// unixName returns the name to bind for a path. Workers send absolute paths, and a name has at
// most 107 bytes, so like Node it is the path from the working directory if that is not longer.
// A name that begins with NUL then is abstract, and has no file.
func unixName(path string) (string, error) {
	name := path
	if dir, err := unix.Getwd(); err == nil && filepath.IsAbs(path) {
		if relative, err := filepath.Rel(dir, path); err == nil && len(relative) <= len(path) {
			name = relative
		}
	}
	switch {
	case strings.HasPrefix(name, "\x00"):
	case strings.Contains(name, "\x00"):
		return "", unix.EINVAL
	case strings.HasPrefix(name, "@"): // which means NUL to package unix
		name = "./" + name
	}
	return name, nil
}

// chmodSocket lets other users connect to a Unix socket, if the worker asks for it. A failure
// is ignored: the socket itself is there.
func (q query) chmodSocket() {
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

// open opens a socket at an address, with the options in the query.
func (q query) open(family, kind int, address unix.Sockaddr) (fd int, err error) {
	syscall.ForkLock.RLock() // a child must not inherit it
	fd, err = unix.Socket(family, kind, 0)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return -1, err
	}
	if err := q.bind(fd, family, kind, address); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func (q query) bind(fd, family, kind int, address unix.Sockaddr) error {
	if kind == unix.SOCK_STREAM && family != unix.AF_UNIX || q.Flags&flagReuseAddr != 0 {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
			return err
		}
	}
	if family == unix.AF_INET6 {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, q.Flags&flagV6Only); err != nil {
			return err
		}
	}
	return unix.Bind(fd, address)
}

// socknameOf returns the address of an IP socket in Node's words, or nil.
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
