package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"playing-with-processes/internal/ipc"
)

const (
	// defaultDrain is how long Serve finishes what is open if the primary does not say:
	// Node's does not.
	defaultDrain = 5 * time.Second
	// orphanFor is how long a process without a primary may go on.
	orphanFor = 500 * time.Millisecond
)

// link is a worker's way to its primary.
type link struct {
	primary *ipc.Channel
	left    chan struct{} // closed when it is time to leave
	drain   time.Duration // valid then

	mu      sync.Mutex // guards what follows
	seq     int64
	asked   map[int64]question
	servers map[string]server // by key
	indexes map[string]*index // by the key of index 0
}

// question waits for its answer.
type question struct {
	server   server // that the answer is to open, or nil
	answered chan<- error
}

// server is a listener or a packet connection of this worker. open and offer are called
// by link's goroutine.
type server interface {
	// open takes what the primary has answered, and perhaps a socket with it.
	open(m message, raw ipc.Message) error
	// offer is a connection for it.
	offer(o offer)
	Close() error
}

// index counts the servers of one address. The primary tells them apart by it: the
// second that listens on port 0 gets another port.
type index struct{ next, open int }

// join is the first thing that a worker does.
func join() (*link, error) {
	primary, err := ipc.Config{Cluster: true}.Parent()
	if err != nil {
		return nil, fmt.Errorf("worker by %s: %w", uniqueID, err)
	}
	l := &link{
		primary: primary,
		left:    make(chan struct{}),
		drain:   defaultDrain,
		asked:   map[int64]question{},
		servers: map[string]server{},
		indexes: map[string]*index{},
	}
	if err := l.send(message{Act: actOnline}); err != nil {
		return nil, err
	}
	go l.listen()
	return l, nil
}

// send sends a message.
func (l *link) send(m message) error {
	return l.primary.Send(context.Background(), l.number(m))
}

func (l *link) number(m message) message {
	l.mu.Lock()
	defer l.mu.Unlock()
	m.Cmd, m.Seq = command, l.seq
	l.seq++
	return m
}

// ask sends a question, and waits for the answer, which opens s, if there is one.
func (l *link) ask(m message, s server) error {
	m, answered := l.number(m), make(chan error, 1)
	l.mu.Lock()
	if l.leaving() { // nobody would answer
		l.mu.Unlock()
		return net.ErrClosed
	}
	l.asked[m.Seq] = question{s, answered}
	l.mu.Unlock()
	if err := l.primary.Send(context.Background(), m); err != nil {
		return err
	}
	return <-answered
}

// listen is a goroutine that does what the primary says, until it is gone.
func (l *link) listen() {
	for raw, err := range l.primary.Messages() {
		var m message
		if err != nil || raw.Decode(&m) != nil || m.Cmd != command {
			raw.Close() // there is nobody here for it
			continue
		}
		switch {
		case m.Ack != nil:
			l.answered(m, raw)
		case m.Act == actConnection:
			l.connection(m, raw)
		case m.Act == actDisconnect:
			l.leaveWithin(m.Within)
		}
		raw.Close()
	}
	// No primary, no port: Node's worker exits at once.
	time.AfterFunc(orphanFor, func() { os.Exit(0) })
	l.leaveWithin(0)
}

// answered opens the server that was asked for, here and now: its first connection may be
// the next message.
func (l *link) answered(m message, raw ipc.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	q, ok := l.asked[*m.Ack]
	delete(l.asked, *m.Ack)
	switch errno := m.errno(); {
	case !ok:
	case errno != 0:
		q.answered <- os.NewSyscallError("bind", syscall.Errno(-errno))
	case q.server != nil:
		err := q.server.open(m, raw)
		if err == nil {
			l.servers[m.Key] = q.server
		}
		q.answered <- err
	default:
		q.answered <- nil
		go l.leaveWithin(m.Within) // it was Leave that asked
	}
}

// connection offers a connection to its server. It is this worker's from when that has
// said that it takes it, and not before: else the primary gives it to another one.
func (l *link) connection(m message, raw ipc.Message) {
	conn, err := raw.Conn()
	if err != nil {
		return
	}
	given := offer{conn, func(accepted bool) error {
		return l.send(message{Ack: &m.Seq, Accepted: &accepted})
	}}
	l.mu.Lock()
	s := l.servers[m.Key]
	l.mu.Unlock()
	if s == nil {
		given.refuse()
		return
	}
	s.offer(given)
}

// leaveWithin closes all servers, and tells who waits for Leaving before. The primary's
// patience, in milliseconds, is 0 if it is not known.
func (l *link) leaveWithin(patience int64) {
	l.mu.Lock()
	if l.leaving() {
		l.mu.Unlock()
		return
	}
	if patience > 0 {
		l.drain = time.Duration(patience) * time.Millisecond
	}
	close(l.left)
	servers := l.servers
	l.servers = map[string]server{}
	for seq, q := range l.asked { // there will be no answer
		delete(l.asked, seq)
		q.answered <- net.ErrClosed
	}
	l.mu.Unlock()
	for _, s := range servers {
		s.Close()
	}
}

// leaving reports whether this worker is on its way out.
func (l *link) leaving() bool {
	select {
	case <-l.left:
		return true
	default:
		return false
	}
}

// Leave makes this worker leave by itself: its servers are closed, Serve drains, and
// returns. The primary is told that it is no failure.
func Leave() error {
	l, err := self()
	if l == nil || l.leaving() {
		return err
	}
	err = l.ask(message{Act: actLeave}, nil)
	<-l.left
	if errors.Is(err, net.ErrClosed) { // the primary wanted it, too
		return nil
	}
	return err
}

// Leaving is closed when this worker is to leave: the primary has asked it to, or has
// gone, or Leave was called. Its servers are closed then. Finish what is open, and exit.
// Half a second after the primary has gone the process ends, with code 0 as in Node.
// In a primary it is nil.
func Leaving() <-chan struct{} {
	if l, _ := self(); l != nil {
		return l.left
	}
	return nil
}
