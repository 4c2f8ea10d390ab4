package main

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"playing-with-processes/internal/ipc"
	"playing-with-processes/internal/restart"
)

const (
	// readyFor is how long a worker may take to get ready: Node needs 50 ms, a
	// server that fills its caches first some seconds.
	readyFor = 10 * time.Second
	// missedBeats in a row are a hang. One may be late on a busy machine.
	missedBeats = 3
)

// supervised is a worker as the primary sees it.
type supervised struct {
	*ipc.Child
	place   int
	started time.Time
	voice   *voice

	ready chan notice   // what it said when it got ready
	beats chan struct{} // it has said something
	hung  chan string   // why we have killed it
	gone  chan struct{} // closed after its end
	exit  ipc.Exit      // after its end

	state state // for the primary's goroutine alone
}

// state is what the primary expects of a worker.
type state int

const (
	starting state = iota // to get ready
	serving
	retiring // to serve on until its replacement does
	stopping // to end
)

// report is what a worker's goroutines tell the primary.
type report struct {
	worker *supervised
	what   news
}

type news int

const (
	ready news = iota
	retires
	ended
)

// fork starts the worker of a place and hands it the port.
func fork(p *primary, place int) (*supervised, error) {
	w := &supervised{
		place:   place,
		started: time.Now(),
		voice:   &voice{held: p.pool.Failures(place) > 0},
		ready:   make(chan notice, 1),
		beats:   make(chan struct{}, 1),
		hung:    make(chan string, 1),
		gone:    make(chan struct{}),
	}
	cmd := p.command()
	cmd.Stdin, cmd.Stderr = nil, w.voice
	// In a process group of its own it does not get the terminal's Ctrl-C, which
	// is for the primary: it would end before it has drained.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	child, err := ipc.Fork(cmd)
	if err != nil {
		return nil, err
	}
	w.Child = child
	go w.handOver(p)
	go w.wait()
	go w.listen(p.reports)
	go w.watch()
	return w, nil
}

// handOver gives the worker the listening socket: the notes' worker.send('server',
// server). A worker that does not take it is one that does not get ready.
func (w *supervised) handOver(p *primary) {
	ctx, cancel := context.WithTimeout(context.Background(), readyFor)
	defer cancel()
	w.SendHandle(ctx, theServer, p.listener)
}

// wait waits for the worker's end. The error, if any, is that somebody else still
// holds its standard error.
func (w *supervised) wait() {
	w.exit, _ = w.Wait()
	close(w.gone)
}

// listen reports what the worker says, each thing once, and its end after that.
func (w *supervised) listen(reports chan<- report) {
	told := map[string]bool{}
	for message, err := range w.Messages() {
		if err != nil {
			continue // a message that got lost
		}
		message.Close()
		select {
		case w.beats <- struct{}{}:
		default: // watch has not looked since the last one
		}
		var said notice
		if message.Decode(&said) != nil || told[said.Act] {
			continue
		}
		switch said.Act {
		case actReady:
			w.ready <- said
			reports <- report{w, ready}
		case actRetire:
			reports <- report{w, retires}
		default:
			continue
		}
		told[said.Act] = true
	}
	// It may have closed its channel only, to finish what is open.
	if !w.endsWithin(drainFor) {
		w.insist()
	}
	reports <- report{w, ended}
}

// watch kills a worker that does not get ready, or hangs: one that has promised a
// heartbeat and does not keep it.
func (w *supervised) watch() {
	var said notice
	select {
	case said = <-w.ready:
	case <-w.gone:
		return
	case <-time.After(readyFor):
		w.giveUpOn("not ready after %v", readyFor)
		return
	}
	defer time.AfterFunc(restart.StableAfter, w.voice.release).Stop()

	// What is counted are ticks, and not the time since the last beat: if this
	// process was stopped itself, nobody was late.
	var tick <-chan time.Time
	if said.interval() > 0 {
		tick = time.Tick(said.interval())
	}
	for missed := 0; missed <= missedBeats; {
		select {
		case <-w.gone:
			return
		case <-w.beats:
			missed = 0
		case <-tick:
			missed++
		}
	}
	w.giveUpOn("no heartbeat for %v", missedBeats*said.interval())
}

// giveUpOn kills a worker that would not listen to anything else.
func (w *supervised) giveUpOn(format string, args ...any) {
	w.hung <- fmt.Sprintf(format, args...)
	w.Kill(syscall.SIGKILL)
}

// epitaph says in one line how the worker has ended.
func (w *supervised) epitaph(reason restart.Reason) string {
	how := fmt.Sprintf("worker %d %v (%v)", w.Pid(), reason, w.exit)
	select {
	case why := <-w.hung:
		return how + ": " + why
	default:
	}
	if line, ok := w.voice.gist(); ok && w.exit.Signal == 0 {
		return how + ": " + line
	}
	return how
}
