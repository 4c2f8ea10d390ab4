package main

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"playing-with-processes/internal/supervise"
)

// missedBeats in a row mean that a worker hangs. On a busy machine one may be late.
const missedBeats = 3

// watchdog kills its worker if promised heartbeats do not come. It counts ticks, so that
// suspending this process, as Ctrl-Z does, expires no heartbeat.
type watchdog struct {
	kill    func(why string)
	once    sync.Once
	missed  atomic.Int32 // ticks since the last sign of life
	stopped chan struct{}
}

func newWatchdog(kill func(why string)) *watchdog {
	return &watchdog{kill: kill, stopped: make(chan struct{})}
}

// watchdogOf returns the watchdog of a worker.
func watchdogOf(w *supervise.Worker) *watchdog { return w.Value.(*watchdog) }

// watch starts to expect heartbeats, the first time it is called. Without an interval it
// expects none.
func (d *watchdog) watch(interval time.Duration) {
	if interval > 0 {
		d.once.Do(func() { go d.run(interval) })
	}
}

// beat is a sign of life.
func (d *watchdog) beat() { d.missed.Store(0) }

// run waits one tick longer than missedBeats: the last heartbeat came at some time within an
// interval.
func (d *watchdog) run(interval time.Duration) {
	for tick := time.Tick(interval); d.missed.Load() <= missedBeats; d.missed.Add(1) {
		select {
		case <-tick:
		case <-d.stopped:
			return
		}
	}
	d.kill(fmt.Sprintf("no heartbeat for %v", missedBeats*interval))
}

// stop ends the watch. It is called once, when the channel has ended.
func (d *watchdog) stop() { close(d.stopped) }
