package main

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A worker that misses its heartbeats must be killed, and not before: each sign of life
// starts a new count.
func TestWatchdog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const interval = 10 * time.Second
		var reason string
		d := newWatchdog(func(why string) { reason = why })
		d.watch(interval)
		d.watch(time.Nanosecond) // only the first promise counts
		time.Sleep(interval / 2) // not at a tick
		for range 2 * missedBeats {
			time.Sleep(missedBeats * interval)
			synctest.Wait()
			require.Empty(t, reason)
			d.beat()
		}
		time.Sleep((missedBeats + 1) * interval)
		synctest.Wait()
		require.Equal(t, "no heartbeat for 30s", reason)
	})
}

// A worker that promises no heartbeats, or has disconnected, must not be watched.
func TestWatchdogStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, interval := range []time.Duration{0, time.Second} {
			d := newWatchdog(func(why string) { require.FailNow(t, why) })
			d.watch(interval)
			time.Sleep(missedBeats * interval)
			d.stop()
			time.Sleep(time.Hour)
		}
	})
}
