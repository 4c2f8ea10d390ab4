package main

import (
	"cmp"
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
	"playing-with-processes/internal/ipc"
	"playing-with-processes/internal/program"
	"playing-with-processes/internal/visitors"
)

const (
	demoVisitors = 4
	// demoRest leaves the workers idle for most of the time: how much they can do is not
	// the point.
	demoRest = 5 * time.Millisecond
	// demoQuiet is how long all is well after each trouble.
	demoQuiet = time.Second
	// slowFor is longer than it takes for some answers to begin.
	slowFor = 2 * demoQuiet
	// nowhere is an address that no machine has (RFC 5737).
	nowhere = "203.0.113.1:1337"
)

// story is the demonstration: visitors come all the time, and one thing after the other
// goes wrong.
type story struct {
	say     *log.Logger
	primary *cluster.Primary
	n       int
	policy  cluster.Policy
	address string
	turns   map[string]int // what was answered before the crowd came
	crowd   *visitors.Crowd
	patient *visitors.Crowd // those who ask for what takes long
	there   sync.WaitGroup  // of the patient

	broken atomic.Bool // what is deployed next

	listening chan cluster.Listening
	exits     chan cluster.Exit
	ends      map[string]cluster.Exit // of the workers, by what they answer
	returned  int                     // connections that came back from a dead worker
	reset     int
}

// demo plays the story, and sums it up.
func demo(ctx context.Context, o options) error {
	s := &story{
		say:       program.Speaker("demo"),
		n:         o.n,
		turns:     map[string]int{},
		listening: make(chan cluster.Listening, 1000),
		exits:     make(chan cluster.Exit, 1000),
		ends:      map[string]cluster.Exit{},
	}
	settings := o.settings()
	settings.Command = func() *exec.Cmd {
		if s.broken.Load() {
			return ipc.Self("-addr", nowhere)
		}
		return o.command()
	}
	p, err := cluster.SetupPrimary(settings)
	if err != nil {
		return err
	}
	s.primary, s.policy = p, p.Policy()
	stop, err := operate(p, o.status)
	if err != nil {
		return errors.Join(err, p.Shutdown(context.Background()))
	}
	defer stop()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		s.watch()
	}()
	err = s.play(ctx)
	p.Shutdown(context.Background())
	<-watched
	if err != nil {
		return err
	}
	return s.summary(os.Stdout)
}

// watch prints what happens, and remembers what the summary needs.
func (s *story) watch() {
	for event := range s.primary.Events() {
		if _, end := event.(cluster.Disconnect); !end {
			say.Print(event)
		}
		switch e := event.(type) {
		case cluster.Listening:
			s.listening <- e
		case cluster.Exit:
			s.ends[name(e.Worker)] = e
			s.returned += e.Returned
			s.exits <- e
		case cluster.TurnedAway:
			s.reset += e.Connections
		}
	}
}

// name is what a worker answers.
func name(w *cluster.Worker) string { return fmt.Sprintf("worker %d", w.Pid()) }

func (s *story) play(ctx context.Context) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	if err := s.inTurn(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer s.there.Wait()
	defer cancel()
	s.patient = visitors.Gather(ctx, s.address, 0, 0) // they come when they are called
	s.crowd = visitors.Gather(ctx, s.address, demoVisitors, demoRest)
	s.say.Printf("from now on %d visitors come again and again, each time with a new connection", demoVisitors)
	for _, trouble := range []struct {
		what, proves string
		make         func(context.Context, *cluster.Worker) error
	}{
		{"kill -9", "what a worker has accepted ends with it, and nothing else does", s.kill},
		{"freeze, connect, kill -9", "what it was given and has not accepted, somebody else answers", s.freezeAndKill},
		{"freeze", "a worker that does not accept what it is given is killed", s.freeze},
		{"reload", "a new program is deployed, and nobody notices", s.reload},
		{"reload to a program that does not start", "the old workers stay", s.reloadBroken},
		{"stop", "what is open is finished", s.stop},
	} {
		if trouble.what == "freeze" && s.policy == cluster.None {
			continue // nobody would notice
		}
		if err := program.Pause(ctx, demoQuiet); err != nil {
			return err
		}
		if trouble.what == "freeze, connect, kill -9" && s.policy == cluster.None {
			trouble.proves = "what waits in the kernel's queue, somebody else answers"
		}
		s.say.Printf("--- %s: %s", trouble.what, trouble.proves)
		victim, err := s.victim(ctx)
		if err != nil {
			return err
		}
		if err := trouble.make(ctx, victim); err != nil {
			return err
		}
	}
	return nil
}

// victim is the worker that something will happen to: one that listens, and whom the
// visitors meet.
func (s *story) victim(ctx context.Context) (*cluster.Worker, error) {
	answer, err := s.crowd.Visit("/")
	listening := map[int]bool{}
	for _, w := range s.primary.Status().Workers {
		listening[w.ID] = w.State == "listening"
	}
	for _, w := range s.primary.Workers() {
		if listening[w.ID()] && (s.policy != cluster.Sticky || name(w) == answer) {
			return w, nil
		}
	}
	return nil, cmp.Or(ctx.Err(), err, errors.New("nobody listens"))
}

// open starts the workers, and waits until all of them listen.
func (s *story) open(ctx context.Context) error {
	for range s.n {
		if _, err := s.primary.Fork(); err != nil {
			return err
		}
	}
	for range s.n {
		select {
		case e := <-s.listening:
			s.address = e.Address
		case e := <-s.exits:
			return errors.New(e.String())
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// inTurn lets one visitor come who waits for each answer.
func (s *story) inTurn(ctx context.Context) error {
	const visits = 100
	for range visits {
		answer, err := visitors.Visit(ctx, s.address, "/")
		if err != nil {
			return err
		}
		s.turns[answer]++
	}
	var shares []string
	for _, w := range s.primary.Workers() {
		shares = append(shares, fmt.Sprintf("%v answered %d", w, s.turns[name(w)]))
	}
	how := map[cluster.Policy]string{
		cluster.RoundRobin: "they have their turns",
		cluster.None:       "they race for each connection",
		cluster.Sticky:     "an address is always served by the same one",
	}[s.policy]
	s.say.Printf("%d visits, one after the other: %s: %s", visits, strings.Join(shares, ", "), how)
	return nil
}
