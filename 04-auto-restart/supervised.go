package main

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"playing-with-processes/internal/ipc"
	"playing-with-processes/internal/restart"
	"playing-with-processes/internal/supervise"
)

// config is enough for what a worker has to say; a hostile one shall not have more
// of our memory.
var config = ipc.Config{MaxLine: 64 << 10, MaxInbox: 1 << 20}

const (
	// perMessage is what each message costs its sender: who floods us waits.
	perMessage = time.Millisecond
	// readyFor is how long a worker may take to get ready: Node needs 50 ms, a
	// server that fills its caches first some seconds.
	readyFor   = 10 * time.Second
	readyTicks = 10 // is how it is counted, see watch
	// missedBeats in a row are a hang. One may be late on a busy machine.
	missedBeats = 3
	// drainFor is what open requests get to be finished. `docker stop` waits 10
	// seconds for all of it.
	drainFor = 5 * time.Second
)

// supervised is a worker as the primary sees it.
type supervised struct {
	*supervise.Process
	place int

	ready  chan notice   // what it said when it got ready
	beats  chan struct{} // it has said something
	silent chan struct{} // closed when it cannot say any more
	hung   chan string   // why we have killed it

	// For the primary's goroutine alone.
	state state
	wish  bool // to be replaced, said before it was ready
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
	saidReady news = iota
	saidRetire
	hasEnded
)

// fork starts the worker of a place and hands it the port.
func fork(p *primary, place int) (*supervised, error) {
	process, err := supervise.Start(config, p.command(), p.pool.Failures(place) > 0)
	if err != nil {
		return nil, err
	}
	w := &supervised{
		Process: process,
		place:   place,
		ready:   make(chan notice, 1),
		beats:   make(chan struct{}, 1),
		silent:  make(chan struct{}),
		hung:    make(chan string, 1),
	}
	go w.handOver(p)
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

// ask asks the worker to leave.
func (w *supervised) ask(ctx context.Context) { w.Send(ctx, notice{Act: actStop}) }

// listen reports what the worker says, each thing once, and its end after that.
func (w *supervised) listen(reports chan<- report) {
	told := map[string]bool{}
	for message, err := range w.Messages() {
		if err != nil {
			continue // a message that got lost
		}
		message.Close()
		w.EndsWithin(perMessage)
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
			reports <- report{w, saidReady}
		case actRetire:
			reports <- report{w, saidRetire}
		default:
			continue
		}
		told[said.Act] = true
	}
	close(w.silent)
	// It may have closed its channel only, to finish what is open.
	if !w.EndsWithin(drainFor) {
		w.Insist()
	}
	reports <- report{w, hasEnded}
}

// watch kills a worker that does not get ready, or hangs: one that has promised a
// heartbeat and does not keep it.
//
// What is counted are ticks, and not the time: if this process was stopped itself,
// nobody was late.
func (w *supervised) watch() {
	var said notice
	tick := time.Tick(readyFor / readyTicks)
	for missed := 0; said.Act == ""; {
		select {
		case said = <-w.ready:
		case <-w.silent:
			return
		case <-tick:
			if missed++; missed == readyTicks {
				w.giveUpOn("not ready after %v", readyFor)
				return
			}
		}
	}
	defer time.AfterFunc(restart.StableAfter, w.Voice.Release).Stop()

	tick = nil
	if said.interval() > 0 {
		tick = time.Tick(said.interval())
	}
	for missed := 0; missed <= missedBeats; {
		select {
		case <-w.silent:
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
	w.Signal(syscall.SIGKILL)
}

// epitaph says in one line how the worker has ended.
func (w *supervised) epitaph(how any) string {
	text := fmt.Sprintf("worker %d %v (%v)", w.Pid(), how, w.Exit())
	select {
	case why := <-w.hung:
		return text + ": " + why
	default:
	}
	if line := w.Complaint(); line != "" {
		return text + ": " + line
	}
	return text
}
