package supervise

import (
	"context"
	"os/exec"
	"sync"
	"testing"
	"time"

	"playing-with-processes/internal/ipc"
	"playing-with-processes/internal/restart"
)

// Scripts of workers. A script is online, ready, retiring or leaving when it writes that
// as a message, and may exit when it reads "stop".
const (
	serves  = `echo '"ready"' >&3; read stop <&3`
	retires = `echo '"ready"' >&3; echo '"retire"' >&3; read stop <&3`
	sleeps  = `exec sleep 100`
)

// harness is a supervisor of shell scripts, with its events.
type harness struct {
	*Supervisor
	t      *testing.T
	events chan Event
	mu     sync.Mutex
	script string // of the next worker
}

// startSupervisor supervises workers that run script, until next says what others run.
func startSupervisor(t *testing.T, cfg Config, script string) *harness {
	t.Helper()
	h := &harness{t: t, events: make(chan Event, 10_000), script: script}
	cfg.Command = func(*Worker) *exec.Cmd {
		h.mu.Lock()
		defer h.mu.Unlock()
		return exec.Command("sh", "-c", h.script)
	}
	cfg.Started = func(*Worker) {}
	cfg.Disconnected = func(*Worker, error) {}
	cfg.Message = handleMessage
	cfg.AskToLeave = func(ctx context.Context, w *Worker) { w.Send(ctx, "stop") }
	cfg.Notify = func(e Event) { h.events <- e }
	h.Supervisor = New(cfg)
	t.Cleanup(func() {
		h.Close()
		for _, w := range h.Workers() {
			w.KillBecause("the test is over")
		}
		h.Wait()
	})
	return h
}

func handleMessage(w *Worker, m ipc.Message) (solicited bool) {
	var what string
	m.Decode(&what)
	switch what {
	case "online":
		w.MarkOnline()
	case "ready":
		w.MarkReady()
	case "retire":
		w.MarkRetiring()
	case "leaving":
		w.MarkLeaving()
	}
	return false
}

// next sets the script of the workers that start from now on.
func (h *harness) next(script string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.script = script
}

// await returns the next event of a type, and drops those before it.
func await[E Event](h *harness) E {
	h.t.Helper()
	for {
		if e, ok := (<-h.events).(E); ok {
			return e
		}
	}
}

// patientPolicy never delays a restart for long.
func patientPolicy() *restart.Policy {
	policy := restart.Default(0)
	policy.Restarts, policy.MaxPause = 10_000, time.Millisecond
	return &policy
}
