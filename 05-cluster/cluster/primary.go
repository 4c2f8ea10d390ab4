package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"

	"playing-with-processes/internal/ipc"
	"playing-with-processes/internal/restart"
	"playing-with-processes/internal/supervise"
)

// schedPolicy is the variable that Node's cluster takes its policy from.
const schedPolicy = "NODE_CLUSTER_SCHED_POLICY"

// Settings of a primary. The zero value is ready to use.
type Settings struct {
	// Command returns what the next worker runs, not started, on streams of its
	// choice. It may be any program that listens through a cluster: with Node, an
	// unmodified server. nil is this program again, with the same arguments. It must
	// not use the Primary, which waits for it.
	Command func() *exec.Cmd
	// Policy is how connections get to the workers; "" is what the variable
	// NODE_CLUSTER_SCHED_POLICY says, or else RoundRobin.
	Policy Policy
	// AcceptTimeout is how long a worker may leave a connection unaccepted before
	// it is killed; 0 means 5 s.
	AcceptTimeout time.Duration
	// QueueTimeout is how long connections wait for a port's first worker before
	// they are reset; 0 means 30 s.
	QueueTimeout time.Duration
	// ReadyTimeout is how long a worker may take to join the cluster, or, in a reload, to
	// listen, before it is killed; 0 means 30 s.
	ReadyTimeout time.Duration
	// DrainTimeout is how long a worker that leaves may finish what is open before
	// it is killed; 0 means 5 s. (`docker stop` waits for 10.)
	DrainTimeout time.Duration
	// Restart is when a worker that has ended is started again; nil is
	// restart.Default.
	Restart *restart.Policy
	// Trace, if set, is told every line on the channel to a worker. It must not use
	// the Primary, which may wait for it.
	Trace func(worker int, e ipc.Event)
}

func (s Settings) withDefaults() (Settings, error) {
	if s.Command == nil {
		s.Command = func() *exec.Cmd { return ipc.Self(os.Args[1:]...) }
	}
	from := "policy "
	if s.Policy == "" {
		s.Policy, from = Policy(os.Getenv(schedPolicy)), schedPolicy+"="
	}
	if s.Policy == "" {
		s.Policy = RoundRobin
	}
	if policies[s.Policy] == nil {
		return s, fmt.Errorf("%s%s: there are %v", from, s.Policy, Policies())
	}
	s.AcceptTimeout = cmp.Or(s.AcceptTimeout, 5*time.Second)
	s.QueueTimeout = cmp.Or(s.QueueTimeout, 30*time.Second)
	s.ReadyTimeout = cmp.Or(s.ReadyTimeout, 30*time.Second)
	s.DrainTimeout = cmp.Or(s.DrainTimeout, 5*time.Second)
	if s.Restart == nil {
		policy := restart.Default(0) // Add makes it more
		s.Restart = &policy
	}
	return s, nil
}

// tick is short enough for all that is counted in ticks.
func (s Settings) tick() time.Duration {
	return min(s.AcceptTimeout, s.QueueTimeout, s.ReadyTimeout) / 10
}

var (
	// ErrNotPrimary: a worker has no workers.
	ErrNotPrimary = errors.New("this process is a worker itself")
	// ErrShutdown: the primary has been told to end.
	ErrShutdown = errors.New("the primary is shutting down")
)

// Primary owns ports and workers. Each worker that ends is replaced, by the rules of
// internal/restart, until Shutdown. Its methods may be called from several goroutines.
type Primary struct {
	settings Settings
	events   chan Event
	running  sync.WaitGroup // goroutines

	mu       sync.Mutex // guards what follows, and all of workers, ports and schedulers
	seq      int64      // one count of messages, for all workers
	lastID   int
	workers  map[int]*Worker
	ports    map[string]*port
	pool     *restart.Pool // says whom to start, and when
	due      *time.Timer   // for that
	trouble  restart.Trouble
	circuit  restart.Circuit // as last told
	reload   *reload         // the last one, or nil
	reset    int             // connections, ever
	closing  bool            // told to end,
	over     bool            // and all has
	endWatch func()

	onAccept func(*Worker, *os.File) // a worker has accepted it; for tests
}

// SetupPrimary makes this process a primary, which has no workers yet. Call Shutdown
// when it is not needed any more.
func SetupPrimary(settings Settings) (*Primary, error) {
	if !IsPrimary() {
		return nil, ErrNotPrimary
	}
	settings, err := settings.withDefaults()
	if err != nil {
		return nil, err
	}
	p := newPrimary(settings)
	p.due = time.AfterFunc(math.MaxInt64, p.startDue) // until there is something due
	ctx, cancel := context.WithCancel(context.Background())
	p.endWatch = cancel
	period := settings.tick()
	p.running.Go(func() { p.watch(ctx, period) })
	return p, nil
}

func newPrimary(settings Settings) *Primary {
	return &Primary{
		settings: settings,
		events:   make(chan Event, maxEvents),
		workers:  map[int]*Worker{},
		ports:    map[string]*port{},
		pool:     restart.New(*settings.Restart, 0, time.Now()),
		endWatch: func() {},
		onAccept: func(*Worker, *os.File) {},
	}
}

// Fork starts one more worker. One that could not be started is not tried again.
func (p *Primary) Fork() (*Worker, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closing {
		return nil, ErrShutdown
	}
	return p.fork()
}

// fork is Fork for who has p.mu.
func (p *Primary) fork() (*Worker, error) {
	place := p.pool.Add()
	w, err := p.start(place)
	if err != nil {
		p.pool.Ended(place, restart.Asked, time.Now())
		return nil, err
	}
	return w, nil
}

// Policy is the one in use.
func (p *Primary) Policy() Policy { return p.settings.Policy }

// Workers returns those that have been forked and have not ended, oldest first.
func (p *Primary) Workers() []*Worker {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.SortedFunc(maps.Values(p.workers), func(a, b *Worker) int { return a.id - b.id })
}

// start starts the worker of a place. The caller has p.mu.
func (p *Primary) start(place int) (*Worker, error) {
	p.lastID++
	cmd := p.settings.Command()
	cmd.Env = append(cmd.Environ(), environment(p.lastID))
	process, err := supervise.Start(p.channel(p.lastID), cmd, p.pool.Failures(place) > 0)
	if err != nil {
		return nil, err
	}
	w := &Worker{
		id: p.lastID, place: place, restarts: p.pool.Restarts(place), primary: p, process: process,
		outbox:    make(chan parcel, maxOutbox),
		listening: make(chan struct{}),
		gone:      make(chan struct{}),
		ports:     map[string]*port{},
		flights:   map[int64]*flight{},
	}
	p.workers[w.id] = w
	p.tell(Forked{w})
	p.running.Go(w.listen)
	p.running.Go(w.deliver)
	return w, nil
}

// channel is enough for what a worker has to say; a hostile one shall not have more of
// our memory.
func (p *Primary) channel(id int) ipc.Config {
	cfg := ipc.Config{Cluster: true, MaxLine: 1 << 20, MaxInbox: 4 << 20}
	if p.settings.Trace != nil {
		cfg.Trace = func(e ipc.Event) { p.settings.Trace(id, e) }
	}
	return cfg
}

// startDue starts the workers that the policy wants to be started now.
func (p *Primary) startDue() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.replace()
}

func (p *Primary) replace() {
	if p.closing {
		return
	}
	now := time.Now()
	for place, ok := p.pool.Take(now); ok; place, ok = p.pool.Take(now) {
		p.tellCircuit()
		if _, err := p.start(place); err != nil {
			p.failed(place, restart.NeverReady, err.Error())
			p.tell(Failed{err})
		}
	}
	p.tellCircuit()
	if next, ok := p.pool.Next(now); ok {
		p.due.Reset(time.Until(next))
	}
}

// failed leaves it to the policy when to start a replacement. The caller has p.mu.
func (p *Primary) failed(place int, reason restart.Reason, what string) {
	p.pool.Ended(place, reason, time.Now())
	p.trouble.Note(place, p.pool.Failures(place), what)
}

// watch counts how long workers do not accept what they were given, or do not join, and
// ports have no worker. What is counted are ticks, and not the time: if this process was
// stopped itself, nobody was late.
func (p *Primary) watch(ctx context.Context, period time.Duration) {
	ticks := func(timeout time.Duration) int { return int(timeout / period) } // and one, which may come at once
	tick := time.Tick(period)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
		p.mu.Lock()
		for _, w := range p.workers {
			w.age(ticks(p.settings.AcceptTimeout))
			w.late(ticks(p.settings.ReadyTimeout))
		}
		for _, pt := range p.ports {
			pt.age(ticks(p.settings.QueueTimeout) + 1)
		}
		p.mu.Unlock()
	}
}

// Shutdown closes the ports, lets the workers take what is in their queues, for a fifth
// of DrainTimeout at the most, asks them to leave, and waits until they have. Who has not
// finished after DrainTimeout, or when ctx ends, is killed; then the error is that of ctx.
func (p *Primary) Shutdown(ctx context.Context) error {
	p.mu.Lock()
	if !p.closing {
		p.closing = true
		for _, pt := range p.ports {
			pt.scheduler.finish()
		}
		p.conclude()
		time.AfterFunc(p.settings.DrainTimeout/5, p.releaseAll)
	}
	p.mu.Unlock()
	stop := context.AfterFunc(ctx, p.killAll)
	defer stop()
	p.running.Wait()
	p.due.Stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.over {
		p.over = true
		close(p.events)
	}
	return ctx.Err()
}

// releaseAll turns away who is still waiting.
func (p *Primary) releaseAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, pt := range p.ports {
		pt.release()
	}
}

// conclude asks the workers to leave, once there is nobody left whom they were to serve.
// The caller has p.mu.
func (p *Primary) conclude() {
	if !p.closing || len(p.ports) > 0 {
		return
	}
	p.endWatch()
	for _, w := range p.workers {
		w.leave()
	}
}

func (p *Primary) killAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.workers {
		w.process.Signal(syscall.SIGKILL)
	}
}

// served reports whether any worker has a port. The caller has p.mu.
func (p *Primary) served() bool {
	for _, w := range p.workers {
		if len(w.ports) > 0 {
			return true
		}
	}
	return false
}
