package main

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"time"

	"playing-with-processes/internal/program"
	"playing-with-processes/internal/restart"
)

// primary owns the port and the workers. It never accepts a connection: all that
// come while no worker is there wait in the kernel's queue for the next one.
//
// One goroutine, run, has all of its state. Each worker has goroutines of its own,
// in supervised.go, which report to it.
type primary struct {
	listener *net.TCPListener
	command  func() *exec.Cmd
	policy   restart.Policy
	pool     *restart.Pool // says whom to start, and when
	reports  chan report
	alive    map[*supervised]bool
	retiring map[int]*supervised // by place: still serving, until its replacement does

	circuit restart.Circuit // as last told
	trouble restart.Trouble

	// For who looks on; called by run.
	onReady   func(pid int)
	onCircuit func(restart.Circuit)
}

// newPrimary opens the port for n workers.
func newPrimary(address string, n int, command func() *exec.Cmd) (*primary, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	p := &primary{
		listener:  listener.(*net.TCPListener),
		command:   command,
		policy:    restart.Default(n),
		reports:   make(chan report),
		alive:     map[*supervised]bool{},
		retiring:  map[int]*supervised{},
		onReady:   func(int) {},
		onCircuit: func(restart.Circuit) {},
	}
	p.pool = restart.New(p.policy, n, time.Now())
	return p, nil
}

// run keeps the workers running until ctx ends, and then ends them.
func (p *primary) run(ctx context.Context) error {
	for ctx.Err() == nil {
		now := time.Now()
		for place, ok := p.pool.Take(now); ok; place, ok = p.pool.Take(now) {
			p.start(place)
		}
		p.tellCircuit()

		var due <-chan time.Time
		if next, ok := p.pool.Next(time.Now()); ok {
			due = time.After(time.Until(next))
		}
		select {
		case <-ctx.Done():
		case <-due:
		case r := <-p.reports:
			p.handle(r)
		}
	}
	p.shutdown()
	return nil
}

// start starts the worker of a place.
func (p *primary) start(place int) {
	p.tellCircuit() // it may be the trial start
	w, err := fork(p, place)
	if err != nil {
		p.failed(place, restart.NeverReady, fmt.Sprintf("cannot start a worker: %v", err))
		return
	}
	p.alive[w] = true
	say.Printf("started worker %d", w.Pid())
}

// handle does what a report calls for.
func (p *primary) handle(r report) {
	w := r.worker
	switch {
	case r.what == hasEnded:
		delete(p.alive, w)
		p.ended(w)
	case r.what == saidReady && w.state == starting:
		p.ready(w)
	case r.what == saidRetire && w.state == starting:
		w.wish = true
	case r.what == saidRetire && w.state == serving:
		p.retire(w)
	}
}

// ready lets the worker take the place of the one that has announced its retreat.
func (p *primary) ready(w *supervised) {
	w.state = serving
	p.pool.Ready(w.place, time.Now())
	say.Printf("worker %d is ready, %v after its start", w.Pid(), program.Short(time.Since(w.Started)))
	if old := p.retiring[w.place]; old != nil {
		delete(p.retiring, w.place)
		p.stop(old)
	}
	p.onReady(w.Pid())
	if w.wish {
		p.retire(w)
	}
}

// retire lets the policy start a replacement.
func (p *primary) retire(w *supervised) {
	say.Printf("worker %d wants to be replaced; it serves on until then", w.Pid())
	w.state = retiring
	p.retiring[w.place] = w
	p.pool.Retire(w.place, time.Now())
}

// stop asks a worker to leave.
func (p *primary) stop(w *supervised) {
	w.state = stopping
	w.Voice.Release()
	go w.Stop(w.ask, drainFor)
}

// ended tells a failure from an end that was asked for, or announced.
func (p *primary) ended(w *supervised) {
	switch w.state {
	case retiring:
		delete(p.retiring, w.place)
		fallthrough
	case stopping:
		say.Print(w.epitaph("has left"))
		return
	}
	reason := restart.ReasonFor(w.state == serving, w.Exit())
	p.failed(w.place, reason, w.epitaph(reason))
}

// failed leaves it to the policy when to start a replacement.
func (p *primary) failed(place int, reason restart.Reason, what string) {
	now := time.Now()
	p.pool.Ended(place, reason, now)
	p.trouble.Note(place, p.pool.Failures(place), what)
	say.Print(what)
	if due, ok := p.pool.Due(place, now); ok && due.After(now) && p.pool.Circuit(now) == restart.Closed {
		say.Printf("its replacement is started in %v", program.Short(due.Sub(now)))
	}
	p.tellCircuit()
}

// tellCircuit tells when restarts are suspended, tried and resumed. The first error
// is told again each time: what follows from it would hide it.
func (p *primary) tellCircuit() {
	now := time.Now()
	circuit := p.pool.Circuit(now)
	if circuit == p.circuit {
		return
	}
	switch circuit {
	case restart.Open:
		p.tellOpen(now)
	case restart.HalfOpen:
		say.Print("now there is the trial start")
	case restart.Closed:
		say.Print("the trial start has held: back to normal")
	}
	p.circuit = circuit
	p.onCircuit(circuit)
}

// tellOpen tells why nobody is started for now, and until when.
func (p *primary) tellOpen(now time.Time) {
	why := "the trial start has failed"
	if p.circuit == restart.Closed {
		why = fmt.Sprintf("restarts are suspended: more than %d in %v", p.policy.Restarts, p.policy.Period)
	}
	if next, ok := p.pool.Next(now); ok {
		why += fmt.Sprintf("; in %v there is a trial start", program.Short(next.Sub(now)))
	}
	say.Print(why)
	if len(p.alive) == 0 {
		say.Print("nobody serves until then: connections wait")
	}
	say.Printf("the first error was: %s", p.trouble.First())
}

// shutdown closes the port, and waits until all workers have left.
func (p *primary) shutdown() {
	p.listener.Close()
	say.Printf("stopping: the workers finish what is open, for %v at the most", drainFor)
	for w := range p.alive {
		if w.state != stopping {
			p.stop(w)
		}
	}
	for len(p.alive) > 0 {
		p.handle(<-p.reports)
	}
	say.Print("all workers have left, and the port is free")
}

// invite tells a newcomer what to try.
func (p *primary) invite() {
	address := p.listener.Addr()
	say.Printf("open on http://%v; try in another terminal:", address)
	for _, try := range []string{
		"curl %v/                who answers?",
		"curl %v/crash           a panic that nothing recovers",
		"curl %v/retire          a worker that asks to be replaced, and drains",
		"curl %v/hang            a worker that freezes",
		"curl '%v/slow?ms=3000'  press Ctrl-C here while it runs",
	} {
		say.Printf("  "+try, address)
	}
	say.Print("  kill -9 a worker, or this primary; Ctrl-C ends all of it, twice at once")
}
