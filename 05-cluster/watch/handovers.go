package watch

import (
	"maps"
	"net/netip"
	"sync"
	"time"

	"playing-with-processes/05-cluster/cluster"
	"playing-with-processes/internal/demo"
)

const (
	maxMoves = 1000 // of a frame
	// maxConns is how many connections are followed, and forgetAfter for how long: the end of a
	// connection that another client made is not seen.
	maxConns    = 10_000
	forgetAfter = 2 * time.Minute
	forgetSoon  = 5 * time.Second // if there are many of those
)

// rung is how far a connection had come when it was lost: the ladder of docs/guarantees.md.
type rung int

const (
	queued   rung = iota // L0, L1: in the kernel's queue
	given                // L2: given to a worker that had not accepted it
	accepted             // L3: no byte of an answer had come
	begun                // L4: some had
	rungs
)

// totals counts what became of the visits.
type totals struct {
	Answered int        `json:"answered"`
	Failed   [rungs]int `json:"failed"`
	Returned int        `json:"returned"` // times that a connection came back from a dead worker
	Longest  int64      `json:"longest"`  // milliseconds, of a visit that is not slow
}

// move is a step of a connection, for the page to draw.
type move struct {
	Conn   int    `json:"conn"`   // the client's port
	Worker int    `json:"worker"` // its ID, or 0
	Step   string `json:"step"`   // a HandoverStep, or answered or failed
	Rung   rung   `json:"rung"`   // of one that failed
}

// handovers follows the connections: what the primary reports of them, and what the visitors saw.
type handovers struct {
	mu    sync.Mutex
	conns map[netip.AddrPort]*conn // by the client's address
	moves []move                   // since the last frame
	sum   totals
}

// inQueue is the step of a connection that the primary has not reported before.
const inQueue = cluster.HandoverStep(-1)

// conn is a connection that has not ended, as far as is known.
type conn struct {
	worker int                  // that has it, or had it last
	step   cluster.HandoverStep // it stays Given if the connection is reset then
	since  time.Time
	reset  bool // by the primary, which could not know whether a dead worker had accepted it
	gone   bool // the visitor has gone before the primary has read what became of the connection
	failed bool // its visitor got no answer
}

// handle notes what the primary reports. It does not wait.
func (h *handovers) handle(e cluster.Handover) {
	if !e.Client.IsValid() {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.conns[e.Client]
	if c == nil {
		c = &conn{step: inQueue}
		h.add(e.Client, c)
	}
	c.since = time.Now()
	if c.reset = e.Step == cluster.Reset && c.step == cluster.Given; !c.reset {
		c.step = e.Step
	}
	if e.Worker != nil {
		c.worker = e.Worker.ID()
	}
	if e.Step == cluster.Returned {
		h.sum.Returned++
	}
	h.move(move{Conn: int(e.Client.Port()), Worker: c.worker, Step: e.Step.String()})
	switch {
	case !c.gone || e.Step == cluster.Given:
	case c.failed:
		c.failed = false
		h.fail(e.Client, c.rung())
	default:
		delete(h.conns, e.Client)
	}
}

// add adds a connection. If there are too many, another is forgotten.
func (h *handovers) add(client netip.AddrPort, c *conn) {
	if h.conns == nil {
		h.conns = map[netip.AddrPort]*conn{}
	}
	if len(h.conns) >= maxConns {
		delete(h.conns, h.victim())
	}
	h.conns[client] = c
}

// victim returns a connection to forget: if possible, one that was accepted.
func (h *handovers) victim() (client netip.AddrPort) {
	for address, c := range h.conns {
		if client = address; c.step == cluster.Accepted {
			break
		}
	}
	return client
}

func (h *handovers) move(m move) {
	if len(h.moves) < maxMoves {
		h.moves = append(h.moves, m)
	}
}

// pending reports whether a worker has the connection, as far as the primary has read, and has not
// accepted it.
func (c *conn) pending() bool { return c.step == cluster.Given && !c.reset }

// rung returns how far the connection has come, if no byte of an answer has.
func (c *conn) rung() rung {
	switch c.step {
	case cluster.Accepted:
		return accepted
	case cluster.Given, cluster.Returned:
		return given
	default:
		return queued
	}
}

// fail counts a visit that failed. The caller holds h.mu.
func (h *handovers) fail(client netip.AddrPort, at rung) {
	h.sum.Failed[at]++
	m := move{Conn: int(client.Port()), Step: "failed", Rung: at}
	if c := h.conns[client]; c != nil {
		m.Worker = c.worker
		h.forget(client, c)
	}
	h.move(m)
}

// visited notes the end of a visit. handedOver says whether the primary hands connections over; if
// not, a worker accepts them from the kernel itself. worker is the ID of the one that answered.
func (h *handovers) visited(r demo.Result, took time.Duration, handedOver bool, worker int) {
	from, _ := netip.ParseAddrPort(r.From)
	client := netip.AddrPortFrom(from.Addr().WithZone(""), from.Port()) // as the primary sees it
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.conns[client]
	switch {
	case r.Err == nil:
		h.sum.Answered++
		h.sum.Longest = max(h.sum.Longest, took.Milliseconds())
		if c != nil {
			worker = c.worker
		}
		h.forget(client, c)
		h.move(move{Conn: int(client.Port()), Worker: worker, Step: "answered"})
	case r.Begun:
		h.fail(client, begun)
	case c != nil && c.pending():
		c.gone, c.failed = true, true
	case c != nil:
		h.fail(client, c.rung())
	case r.From != "" && !handedOver:
		h.fail(client, accepted)
	default:
		h.fail(client, queued)
	}
}

// forget forgets a connection, now or when the primary has read that it was accepted.
func (h *handovers) forget(client netip.AddrPort, c *conn) {
	if c != nil && c.pending() {
		c.gone = true
		return
	}
	delete(h.conns, client)
}

// takeMoves returns the moves since the last call.
func (h *handovers) takeMoves() []move {
	h.mu.Lock()
	defer h.mu.Unlock()
	oldest := forgetAfter
	if len(h.conns) > maxConns/2 {
		oldest = forgetSoon
	}
	maps.DeleteFunc(h.conns, func(_ netip.AddrPort, c *conn) bool { return time.Since(c.since) > oldest })
	moves := h.moves
	h.moves = nil
	return append([]move{}, moves...)
}

// frozen returns the workers that have left a connection unaccepted for a while.
func (h *handovers) frozen() map[int]bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	frozen := map[int]bool{}
	for _, c := range h.conns {
		if c.pending() && time.Since(c.since) > frozenAfter {
			frozen[c.worker] = true
		}
	}
	return frozen
}

func (h *handovers) totals() totals {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sum
}
