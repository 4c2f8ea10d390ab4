package cluster

import (
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"syscall"

	"playing-with-processes/internal/ipc"
)

// Listen is net.Listen for a worker: the port is the primary's, and all workers that
// listen on the same address have it together. For tcp, tcp4, tcp6 and unix. In a
// primary it is net.Listen.
//
// What Accept returns has not been read by anybody, and is this worker's alone. A server
// that does not call Accept for a second, since it has enough to do, refuses what it is
// given; others get it.
func Listen(network, address string) (net.Listener, error) {
	l, err := self()
	if err != nil {
		return nil, err
	}
	if l == nil {
		return net.Listen(network, address)
	}
	own := &listener{accepts: make(chan offer), closed: make(chan struct{})}
	if err := l.open(network, address, resolveStream, own, &own.place); err != nil {
		return nil, err
	}
	return own, nil
}

// ListenPacket is net.ListenPacket for a worker, for udp, udp4 and udp6. The socket is
// shared: the kernel gives each packet to one of those who wait for it. In a primary it
// is net.ListenPacket.
func ListenPacket(network, address string) (net.PacketConn, error) {
	l, err := self()
	if err != nil {
		return nil, err
	}
	if l == nil {
		return net.ListenPacket(network, address)
	}
	own := new(packetConn)
	if err := l.open(network, address, resolvePacket, own, &own.place); err != nil {
		return nil, err
	}
	return own, nil
}

// open has s, whose place is at, opened by the primary.
func (l *link) open(network, address string, resolve resolver, s server, at *place) error {
	q, addr, err := resolve(network, address)
	if err == nil {
		*at = place{link: l, query: l.count(q), addr: addr}
		err = at.request(s)
	}
	if err != nil {
		return &net.OpError{Op: "listen", Net: network, Addr: addr, Err: err}
	}
	return nil
}

// place is where a server of this worker is known to the primary.
type place struct {
	link  *link
	query query
	key   string
	addr  net.Addr
}

// request asks the primary for the place of s, and tells it when s listens there.
func (at *place) request(s server) error {
	if err := at.link.ask(message{Act: actQuery, Where: &at.query, Data: null}, s); err != nil {
		at.link.uncount(at.query)
		if at.key != "" { // the primary believes that it is open
			at.link.send(message{Act: actClose, Key: at.key})
		}
		return err
	}
	ready := at.query
	switch addr := at.addr.(type) {
	case *net.TCPAddr:
		ready.Port = &addr.Port
	case *net.UDPAddr:
		ready.Port = &addr.Port
	}
	return at.link.send(message{Act: actListening, Where: &ready, Data: null})
}

// settle notes what the primary has answered.
func (at *place) settle(m message) {
	at.key = m.Key
	if m.Sockname == nil {
		return
	}
	if ip, err := netip.ParseAddr(m.Sockname.Address); err == nil {
		at.addr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, uint16(m.Sockname.Port)))
	}
}

// giveUp tells the primary that the server is closed.
func (at *place) giveUp() {
	l := at.link
	l.mu.Lock()
	delete(l.servers, at.key)
	l.mu.Unlock()
	l.uncount(at.query)
	l.send(message{Act: actClose, Key: at.key}) // or it is gone, and knows
}

// count gives q the next index of its address.
func (l *link) count(q query) query {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := l.indexes[q.key()]
	if i == nil {
		i = new(index)
		l.indexes[q.key()] = i
	}
	q.Index = i.next
	i.next++
	i.open++
	return q
}

func (l *link) uncount(q query) {
	q.Index = 0
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := l.indexes[q.key()]; i.open > 1 {
		i.open--
		return
	}
	delete(l.indexes, q.key())
}

// resolver turns an address as Go writes it into one as Node does. Names are looked up here:
// the primary shall not wait for it.
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
	if address == "" { // Node's primary would die of it
		return query{}, nil, syscall.EINVAL
	}
	port := -1
	path, err := filepath.Abs(address) // the primary may be somewhere else
	if abstract, ok := strings.CutPrefix(address, "@"); ok {
		path = "\x00" + abstract
	}
	if err != nil {
		return query{}, nil, err
	}
	return query{Address: &path, Port: &port, AddressType: []byte("-1")}, &net.UnixAddr{Name: address, Net: "unix"}, nil
}

func resolvePacket(network, address string) (query, net.Addr, error) {
	switch network {
	case "udp", "udp4", "udp6":
	default:
		return query{}, nil, net.UnknownNetworkError(network)
	}
	addr, err := net.ResolveUDPAddr(network, address)
	if err != nil {
		return query{}, nil, err
	}
	q, noFD := queryFor(network[3:], addr.IP, addr.Zone, addr.Port), -1
	if q.Address == nil { // both families
		any := "::"
		q.Address, q.AddressType = &any, []byte("6")
	}
	q.FD, q.AddressType = &noFD, []byte(`"udp`+string(q.AddressType)+`"`)
	return q, addr, nil
}

// queryFor is a query for an address of a family: 4, 6, or "" for both.
func queryFor(family string, ip net.IP, zone string, port int) query {
	q := query{Port: &port, AddressType: []byte("4")}
	switch {
	case ip == nil && family == "":
		return q // both families, or the one there is
	case ip == nil && family == "4":
		ip = net.IPv4zero
	case ip == nil:
		ip = net.IPv6zero
	}
	if ip.To4() == nil {
		q.AddressType = []byte("6")
	}
	if family == "6" {
		only := flagV6Only
		q.Flags = &only
	}
	host := (&net.IPAddr{IP: ip, Zone: zone}).String()
	q.Address = &host
	return q
}

// packetConn is a UDP socket that all workers have.
type packetConn struct {
	net.PacketConn
	place
}

func (c *packetConn) open(m message, raw ipc.Message) (err error) {
	c.settle(m)
	if c.PacketConn, err = raw.PacketConn(); err == nil {
		c.addr = c.LocalAddr()
	}
	return err
}

func (c *packetConn) offer(o offer) { o.refuse() } // connections are for listeners

func (c *packetConn) Close() error {
	err := c.PacketConn.Close()
	if err == nil { // the first time
		c.giveUp()
	}
	return err
}
