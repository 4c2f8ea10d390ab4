package main

import (
	"bytes"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// hangsAfter is when a client gives up that has no answer, and no end of its connection.
const hangsAfter = 3 * time.Second

// load is a number of clients that make one request after the other. One thread serves all of
// them, because the server needs the same CPUs.
type load struct {
	address   unix.SockaddrInet4
	request   []byte
	keepAlive bool
	begin     func() bool // whether another request begins

	epoll   int
	clients map[int32]*client // by descriptor
	buffer  [4096]byte
	outcome
}

// outcome is what became of the requests.
type outcome struct {
	answered, failed, hung int
	answers                map[string]int // by body
}

// client is a connection.
type client struct {
	begun    time.Time // the request
	sent     bool
	response []byte
}

// newLoad returns a load on an address. begin is asked before each request, and with the first
// refusal the client ends.
func newLoad(address, path string, keepAlive bool, begin func() bool) (*load, error) {
	tcp, err := net.ResolveTCPAddr("tcp4", address)
	if err != nil {
		return nil, err
	}
	l := &load{keepAlive: keepAlive, begin: begin, clients: map[int32]*client{}}
	l.address.Port = tcp.Port
	copy(l.address.Addr[:], tcp.IP.To4())
	l.request = fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: bench\r\n", path)
	if !keepAlive {
		l.request = append(l.request, "Connection: close\r\n"...)
	}
	l.request = append(l.request, "\r\n"...)
	l.answers = map[string]int{}
	return l, nil
}

// run returns when all clients have ended.
func (l *load) run(clients int) (err error) {
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	defer unix.Close(l.epoll)
	for range clients {
		if err := l.connect(); err != nil {
			return err
		}
	}
	events := make([]unix.EpollEvent, 128)
	for look := time.Now(); len(l.clients) > 0; {
		n, err := unix.EpollWait(l.epoll, events, 100)
		if err != nil && err != unix.EINTR {
			return err
		}
		for _, event := range events[:max(n, 0)] {
			if err := l.serve(event.Fd); err != nil {
				return err
			}
		}
		if time.Since(look) > hangsAfter/10 {
			look = time.Now()
			if err := l.giveUp(); err != nil {
				return err
			}
		}
	}
	return nil
}

// connect begins a request on a new connection, if there is to be another request.
func (l *load) connect() error {
	if !l.begin() {
		return nil
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	// No connection stays in TIME_WAIT, of which there would soon be too many.
	unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	l.clients[int32(fd)] = &client{begun: time.Now()}
	if err := unix.Connect(fd, &l.address); err != nil && err != unix.EINPROGRESS {
		return err
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLET&0xffffffff, Fd: int32(fd)}
	return unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &event)
}

// end closes a connection, and its client connects again.
func (l *load) end(fd int32) error {
	l.close(fd)
	return l.connect()
}

func (l *load) close(fd int32) {
	unix.Close(int(fd))
	delete(l.clients, fd)
}

// serve does what a connection is ready for.
func (l *load) serve(fd int32) error {
	c := l.clients[fd]
	for {
		if err := l.send(fd, c); err == unix.EAGAIN {
			return nil
		}
		n, err := unix.Read(int(fd), l.buffer[:])
		switch {
		case err == unix.EAGAIN:
			return nil
		case err != nil, n == 0:
			l.count(c)
			return l.end(fd)
		}
		c.response = append(c.response, l.buffer[:n]...)
		if _, complete := body(c.response); complete && l.keepAlive {
			l.count(c)
			if !l.begin() {
				l.close(fd)
				return nil
			}
			*c = client{begun: time.Now(), response: c.response[:0]}
		}
	}
}

// send sends the request, if it has not been sent. If the connection has failed, the next read
// fails as well.
func (l *load) send(fd int32, c *client) error {
	if c.sent {
		return nil
	}
	_, err := unix.Write(int(fd), l.request)
	c.sent = err != unix.EAGAIN
	return err
}

// count counts a request when its connection has ended, or is free for the next one.
func (l *load) count(c *client) {
	text, complete := body(c.response)
	if !complete {
		l.failed++
		return
	}
	l.answered++
	l.answers[string(text)]++
}

// body returns the body of a response. All servers answer one line, without its length in
// front.
func body(response []byte) (text []byte, complete bool) {
	_, text, _ = bytes.Cut(response, []byte("\r\n\r\n"))
	return text, bytes.HasSuffix(text, []byte("\n")) && bytes.HasPrefix(response, []byte("HTTP/1.1 200 "))
}

// giveUp ends the requests that hang.
func (l *load) giveUp() error {
	for fd, c := range l.clients {
		if time.Since(c.begun) > hangsAfter {
			l.hung++
			if err := l.end(fd); err != nil {
				return err
			}
		}
	}
	return nil
}
