// Package supervise keeps a number of worker processes running: it starts, watches, replaces,
// reloads, scales and stops them, and leaves no process behind. Package restart decides when
// a failed worker is started again. The hooks of a Config say what is special about a worker.
//
// Read supervisor.go, then worker.go, which is one worker from its start to its end, on top
// of process.go and stop.go; ready.go ends a worker that never gets ready. scale.go and reload.go
// change which workers run, and slot.go says which of them has a slot. event.go and status.go
// report what happens. stderr.go passes on what workers print, and memory.go measures them.
package supervise

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os/exec"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"playing-with-processes/internal/ipc"
	"playing-with-processes/internal/restart"
)

// Config says what is special about the workers. Command, Started, Message,
// Disconnected, AskToLeave and Notify must be set.
//
// Command, Trace, Name and Notify may be called with the supervisor's lock held: they must
// not call methods of the Supervisor, and of a worker only ID, String and Pid. The other
// hooks are called without it, each from a goroutine that belongs to the worker.
type Config struct {
	Workers int // that New starts

	// Command returns what the next worker runs, not started. It may set w.Value.
	Command func(w *Worker) *exec.Cmd
	// Name returns what events call a worker. The default is its ID: worker 1.
	Name func(w *Worker) string
	// Started is called before the first message of a worker is read. It must not block.
	Started func(w *Worker)
	// Message is called with each message, and may take its handle. solicited reports
	// whether we have waited for it; a worker that sends many others is slowed down.
	Message func(w *Worker, m ipc.Message) (solicited bool)
	// Lost is called with each error of Messages.
	Lost func(w *Worker, err error)
	// Disconnected is called after the last message, with the last error of Messages.
	Disconnected func(w *Worker, last error)
	// AskToLeave asks a worker to finish its requests and to exit. It may block; ctx ends
	// when the worker's time is up.
	AskToLeave func(ctx context.Context, w *Worker)
	// Exited is called when the process has ended, before the event about it.
	Exited func(w *Worker)
	// TellSlot, if set, tells a worker the slot that it gets some time after its start, because
	// the process before it in that slot has ended. It may block. A SlotTaken event follows.
	TellSlot func(w *Worker, slot int)
	// Notify is called with each event, in order.
	Notify func(Event)

	// Channel bounds the channels to the workers. Without a MaxLine the bounds are enough for
	// short notices, so that a hostile worker cannot use much of our memory.
	Channel ipc.Config
	// Trace, if set, is called with every line on the channel to a worker, and every step in
	// its life. It must not use the worker, except for its ID.
	Trace func(w *Worker, e ipc.Event)
	// Restart is when failed workers are started again; nil is restart.Default.
	Restart *restart.Policy
	// ReadyTimeout is how long a worker may stay in the state Starting, or, in a reload,
	// take to get ready, before it is killed; 0 means 10 s.
	ReadyTimeout time.Duration
	// DrainTimeout is how long a worker that leaves may finish its requests before it is
	// terminated; 0 means 5 s. (`docker stop` waits 10 s for everything.)
	DrainTimeout time.Duration
	// ExitTimeout is how long a worker that leaves and has ended its channel may take to exit
	// before it is sent SIGTERM; 0 means 0.5 s.
	ExitTimeout time.Duration
}

func (c Config) withDefaults() Config {
	if c.Channel.MaxLine == 0 {
		c.Channel = ipc.Config{MaxLine: 64 << 10, MaxInbox: 1 << 20}
	}
	if c.Name == nil {
		c.Name = func(w *Worker) string { return fmt.Sprintf("worker %d", w.id) }
	}
	if c.Restart == nil {
		policy := restart.Default(c.Workers)
		c.Restart = &policy
	}
	c.ReadyTimeout = cmp.Or(c.ReadyTimeout, 10*time.Second)
	c.DrainTimeout = cmp.Or(c.DrainTimeout, 5*time.Second)
	c.ExitTimeout = cmp.Or(c.ExitTimeout, 500*time.Millisecond)
	return c
}

// ErrShutdown is the error of a call that comes after Close.
var ErrShutdown = errors.New("the primary is shutting down")

// Supervisor keeps workers running. Each has a slot in a restart.Pool, and in that slot a
// replacement follows it. The methods may be called from several goroutines.
type Supervisor struct {
	cfg     Config
	running sync.WaitGroup // goroutines

	mu          sync.Mutex // guards the fields below, and the states of the workers
	lastID      int
	workers     map[int]*Worker
	owners      map[int]*Worker // of slots: processes that have not ended
	pool        *restart.Pool
	timer       *time.Timer // for the next start that is due
	firstErrors restart.FirstErrors
	restarts    restart.State // as last notified
	reload      *reload       // the last one, or nil
	unfinished  int
	closed      bool
}

// noSlot is the slot of a worker that nothing will follow.
const noSlot = restart.Spare - 1

// New returns a supervisor, and starts cfg.Workers workers. The caller must call Shutdown in
// the end, or Close, Leave and Wait.
//
// From now on this process ignores SIGTTOU, and so do the workers: they are not in the
// foreground of their terminal, and after `stty tostop` would be stopped when they print.
func New(cfg Config) *Supervisor {
	signal.Ignore(syscall.SIGTTOU)
	cfg = cfg.withDefaults()
	s := &Supervisor{
		cfg:     cfg,
		workers: map[int]*Worker{},
		owners:  map[int]*Worker{},
		pool:    restart.New(*cfg.Restart, cfg.Workers, time.Now()),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timer = time.AfterFunc(math.MaxInt64, func() { // until a start is due
		s.mu.Lock()
		defer s.mu.Unlock()
		s.startDue()
	})
	s.startDue()
	return s
}

// Shutdown asks all workers to leave, and waits for their end. It returns Unfinished.
func (s *Supervisor) Shutdown() (unfinished int) {
	s.Close()
	s.Leave()
	s.Wait()
	return s.Unfinished()
}

// Fork adds a worker, in the first free slot. If it cannot be started, it is not tried again.
func (s *Supervisor) Fork() (*Worker, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrShutdown
	}
	return s.fork()
}

func (s *Supervisor) fork() (*Worker, error) {
	slot := s.pool.Add()
	return s.startFirst(slot, slot)
}

// startFirst starts the first worker of a slot, which is removed if that fails.
func (s *Supervisor) startFirst(slot, number int) (*Worker, error) {
	w, err := s.start(slot, number)
	if err != nil {
		s.pool.Remove(slot)
	}
	return w, err
}

// Workers returns the workers whose process has not ended, oldest first.
func (s *Supervisor) Workers() []*Worker {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.workers), func(a, b *Worker) int { return a.id - b.id })
}

// Unfinished returns how many workers so far were to leave and did not end as they should:
// with a signal, or with an exit code, as after requests that were cut off.
func (s *Supervisor) Unfinished() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unfinished
}

// startDue starts the workers that are due. The caller holds s.mu, as for every unexported
// method below.
func (s *Supervisor) startDue() {
	if s.closed {
		return
	}
	now := time.Now()
	for slot, ok := s.pool.PopDue(now); ok; slot, ok = s.pool.PopDue(now) {
		s.notifyRestarts() // it may be the probe
		if _, err := s.start(slot, slot); err != nil {
			failed := StartFailed{err}
			s.cfg.Notify(failed)
			s.failed(slot, nil, failed.String())
		}
	}
	s.notifyRestarts()
	if next, ok := s.pool.Next(now); ok {
		s.timer.Reset(time.Until(next))
	}
}

// channel returns the configuration of the channel to a worker.
func (s *Supervisor) channel(w *Worker) ipc.Config {
	cfg := s.cfg.Channel
	if s.cfg.Trace != nil {
		cfg.Trace = func(e ipc.Event) { s.cfg.Trace(w, e) }
	}
	return cfg
}

// start starts the worker of a slot. A candidate's slot is restart.Spare, and number is the slot
// that it will take over.
func (s *Supervisor) start(slot, number int) (*Worker, error) {
	s.lastID++
	w := &Worker{
		id:         s.lastID,
		number:     number,
		first:      slot == number && s.owners[number] == nil,
		slot:       slot,
		restarts:   s.pool.Restarts(slot),
		supervisor: s,
		startOver:  make(chan struct{}),
		ready:      make(chan struct{}),
		gone:       make(chan struct{}),
	}
	hold := s.pool.Failures(slot) > 0 // it may print what its predecessor has printed
	process, err := StartProcess(s.channel(w), s.cfg.Command(w), hold)
	if err != nil {
		return nil, err
	}
	w.Process = process
	s.workers[w.id] = w
	if w.first {
		w.told = true
		s.owners[number] = w
	}
	s.cfg.Notify(Started{w})
	s.running.Go(w.run)
	return w, nil
}

// failed leaves it to the policy when the next worker of a slot starts. w is the worker that
// has failed, or nil if it could not be started.
func (s *Supervisor) failed(slot int, w *Worker, what string) {
	now := time.Now()
	s.pool.Failed(slot, now)
	s.firstErrors.Record(slot, s.pool.Failures(slot), what)
	at, due := s.pool.DueAt(slot, now)
	if due && at.After(now) && !s.closed && s.pool.State(now) == restart.On {
		s.cfg.Notify(RestartDelayed{w, at.Sub(now)})
	}
}

// removeSlot removes a slot and asks its workers to leave: there are two of them while a
// replacement starts.
func (s *Supervisor) removeSlot(slot int) {
	s.pool.Remove(slot)
	for _, w := range s.workers {
		if w.slot == slot {
			w.leave()
		}
	}
	s.startDue() // others may be due earlier now
}

// Close makes the supervisor start no worker any more, and ends a reload.
func (s *Supervisor) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.timer.Stop()
}

// Leave asks every worker to leave.
func (s *Supervisor) Leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.workers {
		w.leave()
	}
}

// Wait waits, after Close, until every worker has ended and every event has been notified.
func (s *Supervisor) Wait() { s.running.Wait() }
