package cluster

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"

	"playing-with-processes/internal/ipc"
	"playing-with-processes/internal/supervise"
)

var (
	// ErrNotPrimary: a worker cannot have workers.
	ErrNotPrimary = errors.New("this process is a worker itself")
	// ErrShutdown: Shutdown has been called.
	ErrShutdown = supervise.ErrShutdown
)

// Primary owns ports and workers. Until Shutdown, it replaces each worker that ends, by the
// rules of package restart. Its methods may be called from several goroutines.
type Primary struct {
	settings    Settings
	supervisor  *supervise.Supervisor
	running     sync.WaitGroup // goroutines
	events      chan Event
	mailbox     *mailbox[*Worker]
	closeEvents sync.Once

	// mu guards the fields below, and the ports, schedulers and workers. The supervisor's
	// lock may be taken while mu is held, but not the other way round.
	mu      sync.Mutex
	seq     int64 // one count of messages for all workers, as in Node
	ports   map[string]*port
	reset   int // connections so far
	closing bool
}

// SetupPrimary makes this process a primary without workers. Call Shutdown in the end.
func SetupPrimary(settings Settings) (*Primary, error) {
	if !IsPrimary() {
		return nil, ErrNotPrimary
	}
	settings, err := settings.withDefaults()
	if err != nil {
		return nil, err
	}
	p := newPrimary(settings)
	p.supervisor = supervise.New(p.config())
	time.AfterFunc(settings.tick(), p.tick)
	return p, nil
}

func newPrimary(settings Settings) *Primary {
	return &Primary{
		settings: settings,
		events:   make(chan Event, maxEvents),
		mailbox:  newMailbox[*Worker](),
		ports:    map[string]*port{},
	}
}

// config says what is special about a cluster's workers.
func (p *Primary) config() supervise.Config {
	cfg := supervise.Config{
		Command: func(process *supervise.Worker) *exec.Cmd {
			process.Value = newWorker(p, process)
			return p.command(process)
		},
		Name:         func(process *supervise.Worker) string { return fmt.Sprintf("worker %d", process.Pid()) },
		Channel:      p.settings.channel(),
		Started:      func(process *supervise.Worker) { p.running.Go(workerOf(process).writeLoop) },
		Message:      func(process *supervise.Worker, m ipc.Message) bool { return workerOf(process).handleMessage(m) },
		Disconnected: func(process *supervise.Worker, last error) { workerOf(process).disconnected(last) },
		AskToLeave:   func(ctx context.Context, process *supervise.Worker) { workerOf(process).askToLeave(ctx) },
		Lost:         func(process *supervise.Worker, err error) { workerOf(process).messageNotRead(err) },
		Exited:       func(process *supervise.Worker) { workerOf(process).exited() },
		TellSlot:     func(process *supervise.Worker, slot int) { workerOf(process).tellSlot(slot) },
		Notify:       p.notify,
		Restart:      p.settings.Restart,
		ReadyTimeout: p.settings.ReadyTimeout,
		DrainTimeout: p.settings.DrainTimeout,
		ExitTimeout:  p.settings.ExitTimeout,
	}
	if trace := p.settings.Trace; trace != nil {
		cfg.Trace = func(process *supervise.Worker, e ipc.Event) { trace(process.ID(), e) }
	}
	return cfg
}

// command returns what a worker runs, with the variables that Settings documents.
func (p *Primary) command(process *supervise.Worker) *exec.Cmd {
	slot, had := process.SlotAtStart()
	cmd := p.settings.Command(process.ID(), slot)
	own := NoSlot
	if had {
		own = slot
	}
	cmd.Env = append(cmd.Environ(),
		uniqueID+"="+strconv.Itoa(process.ID()),
		slotVariable+"="+strconv.Itoa(own),
		instanceVariable+"="+strconv.Itoa(slot))
	return cmd
}

// Policy returns the policy in use.
func (p *Primary) Policy() Policy { return p.settings.Policy }

// Workers returns the workers that have been forked and have not ended, oldest first.
func (p *Primary) Workers() (workers []*Worker) {
	for _, process := range p.supervisor.Workers() {
		workers = append(workers, workerOf(process))
	}
	return workers
}

// InSlot returns the worker that has a slot, or nil. See Worker.Slot.
func (p *Primary) InSlot(slot int) *Worker {
	if process := p.supervisor.InSlot(slot); process != nil {
		return workerOf(process)
	}
	return nil
}

// Fork adds a worker, in the first slot that is free. If it cannot be started, it is not tried
// again.
func (p *Primary) Fork() (*Worker, error) {
	process, err := p.supervisor.Fork()
	if err != nil {
		return nil, err
	}
	return workerOf(process), nil
}

// Size returns the number of workers that must run: 0 after Shutdown.
func (p *Primary) Size() int { return p.supervisor.Size() }

// Scale changes the number of workers. If there are too many, those that do not listen leave
// first, and then those with the highest slots. Scale does not wait for workers to start or to
// leave. If one cannot be started, Scale returns the error, and the workers started so far stay.
func (p *Primary) Scale(n int) error { return p.supervisor.Scale(n) }

// Reload replaces all workers, one at a time, by what Settings.Command returns now: it
// deploys a new program. The new worker listens before an old one is asked to leave, and the
// old one has exited before the next one starts. A worker with several servers counts as
// listening when its first server listens.
//
// Reload stops at the first new worker that fails or does not listen within
// Settings.ReadyTimeout, and when ctx ends. The worker that has not taken over yet is killed
// or asked to leave, the old workers that remain go on serving, and the error says why.
//
// One reload runs at a time. A call during a reload waits for its end, and then for the next
// reload, which serves all waiting calls.
func (p *Primary) Reload(ctx context.Context) error { return p.supervisor.Reload(ctx) }

// Unfinished returns how many workers so far were to leave and did not end as they should:
// with a signal, or with an exit code, as after requests that were cut off.
func (p *Primary) Unfinished() int { return p.supervisor.Unfinished() }

// tick counts how long workers leave connections unaccepted and ports have no worker, in
// ticks, so that suspending this process expires no timeout.
func (p *Primary) tick() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closing && len(p.ports) == 0 {
		return
	}
	period := p.settings.tick()
	for _, w := range p.Workers() {
		w.tick(int(p.settings.AcceptTimeout / period))
	}
	for _, pt := range p.ports {
		pt.tick(int(p.settings.QueueTimeout/period) + 1) // the first tick may come at once
	}
	time.AfterFunc(period, p.tick)
}

// Shutdown closes the ports, lets the workers serve the connections that are queued, for at
// most a fifth of DrainTimeout, asks the workers to leave, and waits until they have. Workers
// that have not finished after DrainTimeout are terminated. If ctx ends first, they are
// killed, and Shutdown returns the error of ctx.
func (p *Primary) Shutdown(ctx context.Context) error {
	p.mu.Lock()
	if !p.closing {
		p.closing = true
		p.supervisor.Close()
		for _, pt := range p.ports {
			pt.scheduler.finish()
		}
		p.finishShutdown()
		time.AfterFunc(p.settings.DrainTimeout/5, p.releaseAll)
	}
	p.mu.Unlock()
	defer context.AfterFunc(ctx, p.killAll)()
	p.supervisor.Wait()
	p.mailbox.close()
	p.running.Wait()
	p.closeEvents.Do(func() { close(p.events) })
	return ctx.Err()
}

// releaseAll rejects the connections that are still queued.
func (p *Primary) releaseAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, pt := range p.ports {
		pt.release()
	}
}

// finishShutdown asks the workers to leave once no connection is queued. Callers hold p.mu.
func (p *Primary) finishShutdown() {
	if p.closing && len(p.ports) == 0 {
		p.supervisor.Leave()
	}
}

func (p *Primary) killAll() {
	for _, process := range p.supervisor.Workers() {
		process.Signal(syscall.SIGKILL)
	}
}
