// Package watch is a page on which people watch a cluster work, and disturb it.
//
// It is for a cluster that was started to be looked at. The page makes the requests itself while a
// browser is watching, and reports for each failure how far the connection had come.
//
// watch.go has the page's life, which goes on when the cluster is started again, and server.go what
// a browser may ask for. frame.go describes what the page shows; streams.go sends that to the
// browsers, ten times a second. The numbers come from handovers.go, which follows each connection,
// visitors.go, which makes them, and history.go. actions.go and kills.go are the buttons. The page
// itself is index.html, style.css, page.js, which shows a frame, dots.js, chart.js and texts.js.
package watch

import (
	"context"
	"net"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"playing-with-processes/05-cluster/cluster"
	"playing-with-processes/internal/demo"
	"playing-with-processes/internal/ipc"
)

// Page serves one page, for one cluster after the other. The methods of a nil Page do nothing, so
// that a program can do without.
type Page struct {
	server    *server
	streams   streams
	handovers handovers
	visitors  visitors
	history   history
	broken    atomic.Bool // the next worker runs a program that does not start
	closing   atomic.Bool // the program is about to end: visits do not count any more
	ctx       context.Context
	stop      context.CancelFunc
	running   sync.WaitGroup

	// mu guards the fields below. It is not held when the cluster is called, which calls this
	// package while it holds its own.
	mu      sync.Mutex
	primary *cluster.Primary // or nil: there is no cluster now
	address string           // of the cluster, once a worker has listened
	serving bool             // a worker has listened
	next    cluster.Policy   // of the next cluster, or "" if there will be none
	end     context.CancelFunc
	kills   *kills        // the last series; what it points to does not change
	memory  map[int]int64 // of the workers, by ID
}

// Open listens at an address, and serves the page there until Close.
func Open(address string) (*Page, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	p := &Page{visitors: visitors{rate: visitsPerSecond}}
	p.ctx, p.stop = context.WithCancel(context.Background())
	p.history.begun = time.Now()
	p.server = newServer(p, listener, address)
	p.running.Go(func() { p.server.Serve(listener) })
	p.running.Go(p.play)
	p.running.Go(p.visit)
	p.running.Go(p.measure)
	return p, nil
}

// Addr returns the address at which the page is.
func (p *Page) Addr() net.Addr { return p.server.listener.Addr() }

// Close ends the page and its visitors.
func (p *Page) Close() {
	p.mu.Lock()
	p.stop() // from now on, start starts nothing
	p.mu.Unlock()
	p.server.Close()
	p.running.Wait()
}

// Run runs a cluster by serve until ctx ends, and again when the page asks for another policy.
func (p *Page) Run(ctx context.Context, policy cluster.Policy, serve func(context.Context, cluster.Policy) error) error {
	defer context.AfterFunc(ctx, func() { p.closing.Store(true); p.detach() })()
	for ctx.Err() == nil {
		life, end := context.WithCancel(ctx)
		p.mu.Lock()
		p.next, p.end = "", end
		p.mu.Unlock()
		p.broken.Store(false)
		err := serve(life, policy)
		end()
		p.detach()
		p.mu.Lock()
		again := p.next != ""
		policy = p.next
		p.mu.Unlock()
		if !again {
			return err
		}
	}
	return nil
}

// Settings returns the settings of a cluster that the page will show: it follows the connections,
// workers may fail as often as people like, and a reload may be one to a broken program.
func (p *Page) Settings(s cluster.Settings) cluster.Settings {
	if p == nil {
		return s
	}
	policy := cluster.DefaultRestartPolicy(1)
	policy.Restarts, policy.StableAfter = 10_000, 50*time.Millisecond
	s.Restart = &policy

	handover := s.Handover
	s.Handover = func(h cluster.Handover) {
		p.handovers.handle(h)
		if handover != nil {
			handover(h)
		}
	}
	command := s.Command
	s.Command = func(id, slot int) *exec.Cmd {
		if p.broken.Load() {
			return ipc.Self("-addr", nowhere)
		}
		return command(id, slot)
	}
	return s
}

// nowhere is an address that no machine has (RFC 5737).
const nowhere = "203.0.113.1:1337"

// Attach shows a cluster, which has begun.
func (p *Page) Attach(primary *cluster.Primary) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.primary = primary
}

// detach forgets the cluster, which has ended or is about to.
func (p *Page) detach() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.primary, p.serving, p.memory = nil, false, nil
}

// Handle shows an event of the cluster. The first worker that listens opens the cluster to
// visitors.
func (p *Page) Handle(event cluster.Event) {
	if p == nil {
		return
	}
	if _, is := event.(cluster.Disconnect); !is { // Exit says more
		p.history.log(event.String())
	}
	if e, is := event.(cluster.Listening); is {
		p.startServing(e.Address)
	}
}

// startServing lets visitors in, at the first address over TCP at which the cluster listens.
func (p *Page) startServing(address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, _, err := net.SplitHostPort(address); err == nil && !p.serving {
		p.address, p.serving = address, true
	}
}

// Address returns the address of the cluster, or "" before a worker has listened. A cluster on any
// free port has the same one when it is started again.
func (p *Page) Address() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.address
}

// open returns the address that visitors may visit, or "" if no cluster accepts visitors.
func (p *Page) open() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.serving || p.next != "" {
		return ""
	}
	return demo.Reachable(p.address)
}

// cluster returns the cluster, or nil.
func (p *Page) cluster() *cluster.Primary {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.primary
}

// ready returns the cluster if it may be disturbed. Before a worker has listened, the program would
// take the end of a worker for a broken command.
func (p *Page) ready() (*cluster.Primary, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.primary == nil || !p.serving || p.next != "" {
		return nil, noCluster
	}
	return p.primary, nil
}

// start runs a function until the page ends, unless it has ended.
func (p *Page) start(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() == nil {
		p.running.Go(f)
	}
}
