package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"

	"playing-with-processes/05-cluster/cluster"
	"playing-with-processes/internal/ipc"
)

// primary is what a user of the module writes: fork the workers, see what happens, and
// shut down. It opens no port but that for its status: the workers ask for theirs when they
// listen.
func primary(ctx context.Context, o options) error {
	p, err := cluster.SetupPrimary(o.settings())
	if err != nil {
		return err
	}
	broken := make(chan error, 1)
	var telling sync.WaitGroup
	telling.Go(func() { tell(p.Events(), o, broken) })
	defer telling.Wait()
	stop, err := operate(p, o.status)
	if err != nil {
		return errors.Join(err, p.Shutdown(context.Background()))
	}
	defer stop()
	for range o.n {
		if _, err := p.Fork(); err != nil {
			p.Shutdown(context.Background())
			return err
		}
	}
	select {
	case <-ctx.Done():
		say.Print("stopping: the workers finish what is open")
	case err = <-broken:
	}
	return errors.Join(err, p.Shutdown(context.Background()), lastReload(p))
}

// tell prints what happens. If a worker ends before any has listened, it is not the
// worker that is broken, but the command.
func tell(events <-chan cluster.Event, o options, broken chan<- error) {
	listening := false
	for event := range events {
		if _, end := event.(cluster.Disconnect); !end || o.trace { // of which Exit says more
			say.Print(event)
		}
		switch e := event.(type) {
		case cluster.Listening:
			if !listening && o.exec == "" {
				invite(e.Address)
			}
			listening = true
		case cluster.Exit:
			if !listening && !e.AfterDisconnect {
				broken <- errors.New(e.String())
				listening = true // once is enough
			}
		}
	}
}

// invite tells a newcomer what to try.
func invite(address string) {
	if strings.HasPrefix(address, ":") { // any
		address = "127.0.0.1" + address
	}
	say.Printf("open on http://%s; try in another terminal:", address)
	for _, try := range []string{
		"curl %s/                who answers?",
		"curl %s/crash           a panic that nothing recovers",
		"curl '%s/slow?ms=3000'  press Ctrl-C here while it runs",
		"curl %s/hang            a worker that freezes; who answers next, and when?",
	} {
		say.Printf("  "+try, address)
	}
	say.Printf("  kill -USR2 %d              one worker after the other is replaced by a new one", os.Getpid())
	say.Print("  kill -9 a worker, or this primary; Ctrl-C ends all of it, a second one does not wait")
}

func (o options) settings() cluster.Settings {
	s := cluster.Settings{Command: o.command, Policy: o.policy, AcceptTimeout: o.accept}
	if o.trace {
		s.Trace = func(worker int, e ipc.Event) { say.Printf("worker %d: %v", worker, e) }
	}
	return s
}
