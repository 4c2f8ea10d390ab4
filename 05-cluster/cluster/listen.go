package cluster

import (
	"net"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Listen is net.Listen for a worker, on tcp, tcp4, tcp6 and unix. The port belongs to the
// primary, and all workers at the same address share it. In a worker that must leave already,
// the error is net.ErrClosed. In a primary, Listen is net.Listen.
//
// A connection that Accept returns was not read by any other worker. A server that does not
// call Accept for a second refuses the connection, and another worker gets it.
func Listen(network, address string) (net.Listener, error) {
	primary, err := self()
	if err != nil {
		return nil, err
	}
	if primary == nil {
		return net.Listen(network, address)
	}
	l := new(listener)
	if err := primary.register(network, address, resolveStream, l, &l.registration); err != nil {
		return nil, err
	}
	return l, nil
}

// ListenPacket is net.ListenPacket for a worker, for udp, udp4 and udp6. The workers share the
// socket: the kernel gives each packet to one of those that wait for it. The error is
// net.ErrClosed as for Listen. In a primary, ListenPacket is net.ListenPacket.
func ListenPacket(network, address string) (net.PacketConn, error) {
	primary, err := self()
	if err != nil {
		return nil, err
	}
	if primary == nil {
		return net.ListenPacket(network, address)
	}
	c := new(packetConn)
	if err := primary.register(network, address, resolvePacket, c, &c.registration); err != nil {
		return nil, err
	}
	return c, nil
}

// resolver converts an address of Go to Node's form. It looks up names, so that the primary
// does not have to wait for it.
type resolver func(network, address string) (query, net.Addr, error)

func resolveStream(network, address string) (query, net.Addr, error) {
	switch network {
	case "unix":
		return resolveUnix(address)
	case "tcp", "tcp4", "tcp6":
		addr, err := net.ResolveTCPAddr(network, address)
		if err != nil {
			return query{}, nil, err
		}
		return queryFor(network[3:], addr.IP, addr.Zone, addr.Port), addr, nil
	}
	return query{}, nil, net.UnknownNetworkError(network)
}

func resolveUnix(address string) (query, net.Addr, error) {
	if address == "" { // it would crash Node's primary
		return query{}, nil, syscall.EINVAL
	}
	path, err := filepath.Abs(address) // the primary may have another working directory
	if abstract, ok := strings.CutPrefix(address, "@"); ok {
		path = "\x00" + abstract
	}
	if err != nil {
		return query{}, nil, err
	}
	return query{Address: &path, Port: new(-1), AddressType: []byte("-1")}, &net.UnixAddr{Name: address, Net: "unix"}, nil
}

func resolvePacket(network, address string) (query, net.Addr, error) {
	if !slices.Contains([]string{"udp", "udp4", "udp6"}, network) {
		return query{}, nil, net.UnknownNetworkError(network)
	}
	addr, err := net.ResolveUDPAddr(network, address)
	if err != nil {
		return query{}, nil, err
	}
	q := queryFor(network[3:], addr.IP, addr.Zone, addr.Port)
	if q.Address == nil { // both families
		q.Address, q.AddressType = new("::"), []byte("6")
	}
	q.FD, q.AddressType = new(-1), []byte(`"udp`+string(q.AddressType)+`"`)
	return q, addr, nil
}

// queryFor returns the query for an address of a family: 4, 6, or "" for both.
func queryFor(family string, ip net.IP, zone string, port int) query {
	q := query{Port: &port, AddressType: []byte("4")}
	switch {
	case ip == nil && family == "":
		return q // both families, or the one that the machine has
	case ip == nil && family == "4":
		ip = net.IPv4zero
	case ip == nil:
		ip = net.IPv6zero
	}
	if ip.To4() == nil {
		q.AddressType = []byte("6")
	}
	if family == "6" {
		q.Flags = flagV6Only
	}
	q.Address = new((&net.IPAddr{IP: ip, Zone: zone}).String())
	return q
}
