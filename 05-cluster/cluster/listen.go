package cluster

import (
	"net"

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
	if err := l.open(network, address, own, &own.place); err != nil {
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
	if err := l.open(network, address, own, &own.place); err != nil {
		return nil, err
	}
	return own, nil
}

// place is where a server of this worker is known to the primary.
type place struct {
	link  *link
	query query
	key   string
	addr  net.Addr
}

// open asks the primary for an address, and tells it when s listens there.
func (l *link) open(network, address string, s server, at *place) error {
	q, addr, err := resolve(network, address)
	if err != nil {
		return &net.OpError{Op: "listen", Net: network, Err: err}
	}
	*at = place{link: l, query: l.count(q), addr: addr}
	if err := l.ask(actQuery, s, at.message); err != nil {
		l.uncount(q)
		return &net.OpError{Op: "listen", Net: network, Addr: addr, Err: err}
	}
	return l.send(actListening, at.message)
}

func (at *place) message(h header) any {
	q := at.query
	q.header = h
	if tcp, ok := at.addr.(*net.TCPAddr); ok {
		q.Port = &tcp.Port
	}
	return q
}

// settle notes what the primary has answered.
func (at *place) settle(o order) {
	at.key = o.Key
	if at.addr.Network() == "tcp" && o.Sockname != nil {
		at.addr = &net.TCPAddr{IP: net.ParseIP(o.Sockname.Address), Port: o.Sockname.Port}
	}
}

// give up tells the primary that the server is closed.
func (at *place) giveUp() {
	l := at.link
	l.mu.Lock()
	delete(l.servers, at.key)
	l.mu.Unlock()
	l.uncount(at.query)
	l.send(actClose, func(h header) any { return goodbye{h, at.key} }) // or it is gone, and knows
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

// resolve turns an address as Go writes it into one as Node does. Names are looked up
// here: the primary shall not wait for it.
func resolve(network, address string) (query, net.Addr, error) {
	switch network {
	case "unix":
		port := -1
		addr, err := net.ResolveUnixAddr(network, address)
		return query{Address: &address, Port: &port, AddressType: []byte("-1")}, addr, err
	case "tcp", "tcp4", "tcp6":
		addr, err := net.ResolveTCPAddr(network, address)
		if err != nil {
			return query{}, nil, err
		}
		return ask(network[3:], addr.IP, addr.Zone, addr.Port), addr, nil
	case "udp", "udp4", "udp6":
		addr, err := net.ResolveUDPAddr(network, address)
		if err != nil {
			return query{}, nil, err
		}
		q, noFD := ask(network[3:], addr.IP, addr.Zone, addr.Port), -1
		if q.Address == nil { // both families
			any := "::"
			q.Address, q.AddressType = &any, []byte("6")
		}
		q.FD, q.AddressType = &noFD, []byte(`"udp`+string(q.AddressType)+`"`)
		return q, addr, nil
	}
	return query{}, nil, net.UnknownNetworkError(network)
}

// ask is a query for an address of a family: 4, 6, or "" for both.
func ask(family string, ip net.IP, zone string, port int) query {
	const v6Only = 1
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
		only := v6Only
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

func (c *packetConn) open(o order, m ipc.Message) (err error) {
	c.settle(o)
	c.PacketConn, err = m.PacketConn()
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
