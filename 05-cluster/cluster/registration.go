package cluster

import (
	"net"
	"net/netip"
)

// registration is what the primary knows a server of this worker by.
type registration struct {
	primary *primaryConn
	query   query
	key     string
	addr    net.Addr
}

// index counts the servers at one address. The primary tells them apart by it: a second server
// at port 0 gets another port.
type index struct{ next, open int }

// register makes the primary open server, which has the registration r.
func (c *primaryConn) register(network, address string, resolve resolver, s server, r *registration) error {
	q, addr, err := resolve(network, address)
	if err == nil {
		*r = registration{primary: c, query: c.nextIndex(q), addr: addr}
		err = r.request(s)
	}
	if err != nil {
		return &net.OpError{Op: "listen", Net: network, Addr: addr, Err: err}
	}
	return nil
}

// request asks the primary for the address, and tells it when the server listens there.
func (r *registration) request(s server) error {
	if err := r.primary.request(message{Act: actQuery, Where: &r.query, Data: null}, s); err != nil {
		r.primary.freeIndex(r.query)
		if r.key != "" { // to the primary it is open
			r.primary.send(message{Act: actClose, Key: r.key})
		}
		return err
	}
	ready := r.query
	if ip, ok := r.addr.(interface{ AddrPort() netip.AddrPort }); ok {
		ready.Port = new(int(ip.AddrPort().Port()))
	}
	return r.primary.send(message{Act: actListening, Where: &ready, Data: null})
}

// confirm notes what the primary has replied.
func (r *registration) confirm(m message) {
	r.key = m.Key
	if m.Sockname == nil {
		return
	}
	if ip, err := netip.ParseAddr(m.Sockname.Address); err == nil {
		r.addr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, uint16(m.Sockname.Port)))
	}
}

// unregister tells the primary that the server is closed.
func (r *registration) unregister() {
	c := r.primary
	c.mu.Lock()
	delete(c.servers, r.key)
	c.mu.Unlock()
	c.freeIndex(r.query)
	c.send(message{Act: actClose, Key: r.key}) // fails only if the primary is gone
}

// nextIndex gives q the next index of its address.
func (c *primaryConn) nextIndex(q query) query {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := q.key()
	i := c.indexes[key]
	q.Index = i.next
	c.indexes[key] = index{next: i.next + 1, open: i.open + 1}
	return q
}

// freeIndex restarts an address's indexes at 0, as Node does, after its last server closes.
func (c *primaryConn) freeIndex(q query) {
	q.Index = 0
	c.mu.Lock()
	defer c.mu.Unlock()
	i := c.indexes[q.key()]
	i.open--
	c.indexes[q.key()] = i
	if i.open == 0 {
		delete(c.indexes, q.key())
	}
}
