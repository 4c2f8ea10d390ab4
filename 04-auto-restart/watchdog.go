package main

import (
	"fmt"
	"sync"
	"time"

	"playing-with-processes/internal/supervise"
)

// missedBeats in a row mean that a worker hangs. On a busy machine one may be late.
const missedBeats = 3

// watchdog kills its worker if promised heartbeats do not come. It counts ticks, so that
// suspending this process, as Ctrl-Z does, expires no heartbeat.
type watchdog struct {
	worker   *supervise.Worker
	promised chan time.Duration // the interval, once
	beats    chan struct{}
	stopped  chan struct{}
	stop     func()
}

func newWatchdog(w *supervise.Worker) *watchdog {
	d := &watchdog{
		worker:   w,
		promised: make(chan time.Duration, 1),
		beats:    make(chan struct{}, 1),
		stopped:  make(chan struct{}),
	}
	d.stop = sync.OnceFunc(func() { close(d.stopped) })
	go d.run()
	return d
}

// watchdogOf returns the watchdog of a worker.
func watchdogOf(w *supervise.Worker) *watchdog { return w.Value.(*watchdog) }

// expect says at which interval the heartbeats come; 0 is never.
func (d *watchdog) expect(interval time.Duration) {
	select {
	case d.promised <- interval:
	default: // promised before
	}
}

// beat is a sign of life.
func (d *watchdog) beat() {
	select {
	case d.beats <- struct{}{}:
	default: // run has not seen the last one yet
	}
}

func (d *watchdog) run() {
	var interval time.Duration
	select {
	case interval = <-d.promised:
	case <-d.stopped:
	}
	if interval <= 0 {
		return
	}
	tick := time.Tick(interval)
	for missed := 0; missed <= missedBeats; {
		select {
		case <-d.stopped:
			return
		case <-d.beats:
			missed = 0
		case <-tick:
			missed++
		}
	}
	d.worker.Kill(fmt.Sprintf("no heartbeat for %v", missedBeats*interval))
}
