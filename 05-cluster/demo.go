package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"playing-with-processes/05-cluster/cluster"
	"playing-with-processes/internal/cli"
	"playing-with-processes/internal/demo"
	"playing-with-processes/internal/ipc"
)

const (
	// slowRequest takes longer than the beginning of several such requests.
	slowRequest = 2 * time.Second
	// nowhere is an address that no machine has (RFC 5737).
	nowhere = "203.0.113.1:1337"
)

// story is the demonstration: clients make requests all the time, and one thing after the
// other goes wrong.
type story struct {
	say     *log.Logger
	primary *cluster.Primary
	n       int
	address string
	named   bool        // the answers name the workers
	broken  atomic.Bool // what the next worker runs does not start

	clients *demo.Clients
	slow    sync.WaitGroup // requests that take long

	// watch fills these.
	events   chan cluster.Event // Listening and Exit
	exits    []cluster.Exit
	returned int // connections that came back from dead workers
	reset    int // connections that no worker could have
}

// demonstrate plays the story, and sums it up.
func demonstrate(ctx context.Context, o options) error {
	s := &story{say: cli.NewServerLogger("demo"), n: o.n, events: make(chan cluster.Event, 1000)}
	os.Setenv("GOTRACEBACK", "none") // a panic of a worker is one line
	settings := o.settings()
	settings.Command = func(id, slot int) *exec.Cmd {
		if s.broken.Load() {
			return ipc.Self("-addr", nowhere)
		}
		return o.command(id, slot)
	}
	p, err := cluster.SetupPrimary(settings)
	if err != nil {
		return err
	}
	s.primary = p
	stop, err := control(p, o.status)
	if err != nil {
		return errors.Join(err, p.Shutdown(context.Background()))
	}
	defer stop()
	var watching sync.WaitGroup
	watching.Go(s.watch)
	watching.Go(func() { answer(p, new(schedule)) })
	err = s.play(ctx)
	if ctx.Err() != nil {
		say.Print("stopping: the workers finish their requests")
	}
	p.Shutdown(context.Background())
	watching.Wait()
	if err != nil {
		return err
	}
	return s.summary(cli.Stdout)
}

// watch prints the events, and keeps what the story needs of them.
func (s *story) watch() {
	for event := range s.primary.Events() {
		if _, is := event.(cluster.Disconnect); !is {
			say.Print(event)
		}
		switch e := event.(type) {
		case cluster.Listening:
			s.events <- e
		case cluster.Exit:
			s.exits = append(s.exits, e)
			s.returned += e.Returned
			s.events <- e
		case cluster.Rejected:
			s.reset += e.Connections
		}
	}
}

func (s *story) play(ctx context.Context) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	if err := s.showTurns(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer s.slow.Wait()
	defer cancel()
	s.clients = demo.Start(ctx, demo.Load{Address: s.address, Clients: demo.NumClients, Rest: demo.Rest})
	s.say.Printf("from now on %d clients make requests, each on a new connection", demo.NumClients)
	if err := cli.Pause(ctx, demo.Quiet); err != nil {
		return err
	}
	return demo.Play(ctx, s.say, s.episodes(), nil)
}

// open starts the workers, and waits until all of them listen.
func (s *story) open(ctx context.Context) error {
	defer time.AfterFunc(hintAfter, printListenHint).Stop()
	for range s.n {
		if _, err := s.primary.Fork(); err != nil {
			return err
		}
	}
	for range s.n {
		select {
		case event := <-s.events:
			if exit, ok := event.(cluster.Exit); ok {
				return errors.New(exit.String())
			}
			s.address = event.(cluster.Listening).Address
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// showTurns shows which workers get the requests of a client that waits for each answer.
func (s *story) showTurns(ctx context.Context) error {
	const requests = 100
	answers := map[string]int{}
	for range requests {
		answer, err := demo.Get(ctx, s.address, "/")
		if err != nil {
			return err
		}
		answers[answer]++
	}
	var shares []string
	for _, w := range s.primary.Workers() {
		shares = append(shares, fmt.Sprintf("%v answered %d", w, answers[w.String()]))
		s.named = s.named || answers[w.String()] > 0
	}
	if !s.named {
		s.say.Print("the server's answers do not name its workers, so nothing is counted by worker")
		return nil
	}
	how := map[cluster.Policy]string{
		cluster.RoundRobin: "idle workers take turns",
		cluster.None:       "they race for each connection",
		cluster.Sticky:     "one worker serves all of an address",
	}[s.primary.Policy()]
	s.say.Printf("%d requests, one after the other: %s: %s", requests, how, strings.Join(shares, ", "))
	return nil
}
