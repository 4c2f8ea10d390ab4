package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"playing-with-processes/05-cluster/cluster"
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
)

// story is the demonstration: visitors come all the time, and one thing after the other
// goes wrong.
type story struct {
	say     *log.Logger
	primary *cluster.Primary
	n       int
	shared  bool // the workers have the socket, and nobody hands out anything
	address string
	turns   map[string]int // what was answered before the crowd came
	crowd   *visitors.Crowd
	patient *visitors.Crowd // those who ask for what takes long
	there   sync.WaitGroup  // of the patient

	listening chan cluster.Listening
	exits     chan cluster.Exit
	ends      map[string]cluster.Exit // of the workers, by what they answer
	returned  int                     // connections that came back from a dead worker
	reset     int
}

// demo plays the story, and sums it up.
func demo(ctx context.Context, o options) error {
	p, err := cluster.SetupPrimary(o.settings())
	if err != nil {
		return err
	}
	stop, err := operate(p, o.status)
	if err != nil {
		return errors.Join(err, p.Shutdown(context.Background()))
	}
	defer stop()
	s := &story{
		say:       program.Speaker("demo"),
		primary:   p,
		n:         o.n,
		shared:    p.Policy() == cluster.None,
		turns:     map[string]int{},
		listening: make(chan cluster.Listening, 1000),
		exits:     make(chan cluster.Exit, 1000),
		ends:      map[string]cluster.Exit{},
	}
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
		{"stop", "what is open is finished", s.stop},
	} {
		if trouble.what == "freeze" && s.shared {
			continue // nobody would notice
		}
		if err := program.Pause(ctx, demoQuiet); err != nil {
			return err
		}
		s.say.Printf("--- %s: %s", trouble.what, trouble.proves)
		if err := trouble.make(ctx, s.primary.Workers()[0]); err != nil {
			return err
		}
	}
	return nil
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
	how := "they have their turns"
	if s.shared {
		how = "they race for each connection"
	}
	s.say.Printf("%d visits, one after the other: %s: %s", visits, strings.Join(shares, ", "), how)
	return nil
}

// beginSlow lets some visitors come who get half an answer at once, and the other half
// later: so many that each worker has some.
func (s *story) beginSlow() {
	for range 8 * s.n {
		s.there.Go(s.patient.Begin(fmt.Sprintf("/slow?ms=%d", slowFor.Milliseconds())))
	}
}

func (s *story) kill(ctx context.Context, w *cluster.Worker) error {
	s.beginSlow()
	w.Signal(syscall.SIGKILL)
	return s.replacement(ctx, w)
}

func (s *story) freezeAndKill(ctx context.Context, w *cluster.Worker) error {
	w.Signal(syscall.SIGSTOP)
	s.say.Printf("%v is stopped", w)
	if err := program.Pause(ctx, demoQuiet); err != nil {
		return err
	}
	w.Signal(syscall.SIGKILL)
	if err := s.replacement(ctx, w); err != nil {
		return err
	}
	return s.tellLongest(ctx)
}

func (s *story) freeze(ctx context.Context, w *cluster.Worker) error {
	w.Signal(syscall.SIGSTOP)
	s.say.Printf("%v is stopped", w)
	if err := s.replacement(ctx, w); err != nil {
		return err
	}
	return s.tellLongest(ctx)
}

// tellLongest is about who was in the hands of the frozen worker.
func (s *story) tellLongest(ctx context.Context) error {
	err := program.Pause(ctx, demoQuiet/2)
	if met := s.crowd.Sofar(); err == nil && !s.shared {
		s.say.Printf("the longest wait so far was %v, and then %s answered", program.Short(met.Longest), s.who(met.LongestBy))
	}
	return err
}

// who is the worker that gives this answer.
func (s *story) who(answer string) string {
	for _, w := range s.primary.Workers() {
		if name(w) == answer {
			return w.String()
		}
	}
	return answer
}

// replacement waits for the end of a worker, and until somebody listens in its place.
func (s *story) replacement(ctx context.Context, old *cluster.Worker) error {
	for ended := false; ; {
		select {
		case e := <-s.exits:
			ended = ended || e.Worker == old
		case e := <-s.listening:
			if ended && e.Worker != old {
				return nil
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// stop ends the cluster while some are being served.
func (s *story) stop(ctx context.Context, _ *cluster.Worker) error {
	s.beginSlow()
	s.crowd.Disperse() // who comes after it is refused, and that is as it should be
	err := s.primary.Shutdown(ctx)
	s.there.Wait()
	return err
}
