package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"playing-with-processes/internal/program"
	"playing-with-processes/internal/restart"
	"playing-with-processes/internal/visitors"
)

const (
	demoVisitors = 4
	// demoRest leaves the workers idle for most of the time: how much they can do
	// is not the point.
	demoRest = 5 * time.Millisecond
	// demoQuiet is how long all is well before each trouble.
	demoQuiet = time.Second
)

// story is the demonstration: visitors come all the time, and one thing after the
// other goes wrong.
type story struct {
	say      *log.Logger
	crowd    *visitors.Crowd
	events   chan any // what the primary tells, in order: an int, or a restart.Circuit
	oldHands []string // who answered before anything went wrong
	episodes []episode
}

// episode is one trouble, and what the visitors felt of it.
type episode struct {
	what    string
	missing time.Duration // until the replacement's first answer
	failed  int
}

// demo plays the story with the primary p, and ends both.
func demo(ctx context.Context, p *primary) error {
	s := &story{
		say:    program.Speaker("demo"),
		events: make(chan any, 1000),
	}
	p.onReady = func(pid int) { s.events <- pid }
	p.onCircuit = func(c restart.Circuit) { s.events <- c }
	serving, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { p.run(serving); close(ended) }()

	s.crowd = visitors.Gather(ctx, p.listener.Addr().String(), demoVisitors, demoRest)
	err := s.play(ctx)
	met := s.crowd.Disperse()
	stop()
	<-ended
	if err != nil {
		return err
	}
	s.summary(os.Stdout, met)
	if met.Refused+met.Hung > 0 {
		return fmt.Errorf("%d connections were refused, %d hung", met.Refused, met.Hung)
	}
	return nil
}

// play lets one thing after the other go wrong.
func (s *story) play(ctx context.Context) error {
	if err := s.spread(ctx); err != nil {
		return err
	}
	for _, trouble := range []struct {
		what, proves string
		make         func(context.Context) error
	}{
		{"a crash", "an error that nothing catches ends its process, and no other", s.crash},
		{"kill -9", "no process can prevent that, and none has to: the port is not its own", s.kill},
		{"retire", "who asks to be replaced serves on until then: nobody is cut off", s.retire},
		{"a freeze", "a process that is stopped cannot say so: its heartbeat is missed", s.freeze},
		{"a crash loop", "longer and longer pauses, then single trials: and all the time connections wait", s.crashLoop},
	} {
		s.say.Printf("--- %s: %s", trouble.what, trouble.proves)
		before, begun := len(s.crowd.Sofar().CutOff), time.Now()
		s.happened(nil) // nothing of before matters
		if err := trouble.make(ctx); err != nil {
			return err
		}
		answered, err := s.replacement(ctx)
		if err != nil {
			return err
		}
		if err := program.Pause(ctx, demoQuiet); err != nil {
			return err
		}
		e := episode{trouble.what, answered.Sub(begun), len(s.crowd.Sofar().CutOff) - before}
		s.say.Printf("the replacement's first answer came %v after it; requests that failed: %d", program.Short(e.missing), e.failed)
		s.episodes = append(s.episodes, e)
	}
	return s.recovery(ctx)
}

// spread shows who of the workers gets how much.
func (s *story) spread(ctx context.Context) error {
	s.say.Printf("%d visitors come again and again, each time with a new connection", demoVisitors)
	if err := program.Pause(ctx, restart.StableAfter+demoQuiet/2); err != nil {
		return err
	}
	var shares []string
	answered := s.crowd.Sofar().Answered
	s.oldHands = slices.Sorted(maps.Keys(answered))
	for _, name := range s.oldHands {
		shares = append(shares, fmt.Sprintf("%s answered %d", name, answered[name]))
	}
	s.say.Printf("%s: they race for each connection, and nobody sees to it that it is fair", strings.Join(shares, ", "))
	return nil
}

// crash asks somebody to panic. That visitor gets no answer.
func (s *story) crash(context.Context) error {
	_, err := s.crowd.Visit("/crash")
	s.say.Printf("the visitor of /crash sees: %v", err)
	return nil
}

// kill kills somebody who has been there from the beginning, if anybody has.
func (s *story) kill(context.Context) error {
	answer := ""
	for range 200 {
		var err error
		if answer, err = s.crowd.Visit("/"); err != nil {
			return err
		}
		if slices.Contains(s.oldHands, answer) {
			break
		}
	}
	var pid int
	if _, err := fmt.Sscanf(answer, "worker %d", &pid); err != nil {
		return fmt.Errorf("%q does not tell who answers", answer)
	}
	s.say.Printf("kill -9 %d", pid)
	return syscall.Kill(pid, syscall.SIGKILL)
}

func (s *story) retire(context.Context) error {
	answer, err := s.crowd.Visit("/retire")
	s.say.Printf("%s answers /retire", answer)
	return err
}

func (s *story) freeze(context.Context) error {
	_, err := s.crowd.Visit("/hang")
	s.say.Printf("the visitor of /hang, and who else was in those hands, sees: %v", err)
	return nil
}

// crashLoop brings down each worker as soon as somebody answers, until the primary
// has given up, and makes its trial start. Who asks for /crash has just seen that
// there is somebody to take it: left in the queue, it would bring down that one too.
func (s *story) crashLoop(ctx context.Context) error {
	for ctx.Err() == nil {
		if _, err := s.crowd.Visit("/"); err != nil {
			continue // it was in the hands of one that died
		}
		if s.happened(restart.HalfOpen) {
			return nil
		}
		s.crowd.Visit("/crash")
	}
	return ctx.Err()
}

// happened reads events until it finds this one, or no more.
func (s *story) happened(wanted any) bool {
	for len(s.events) > 0 {
		if <-s.events == wanted {
			return true
		}
	}
	return false
}

// replacement is when the next worker that gets ready has first answered.
func (s *story) replacement(ctx context.Context) (time.Time, error) {
	name, met := "", map[string]time.Time{}
	for name == "" || met[name].IsZero() {
		select {
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		case event := <-s.events:
			if pid, ok := event.(int); ok && name == "" {
				name = fmt.Sprint("worker ", pid)
			}
		case f := <-s.crowd.Firsts:
			met[f.Name] = f.At
		}
	}
	return met[name], nil
}

// recovery waits until the trial start has held.
func (s *story) recovery(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case event := <-s.events:
			if event == restart.Closed {
				return program.Pause(ctx, demoQuiet)
			}
		}
	}
}

// summary is what the story comes to.
func (s *story) summary(out io.Writer, met visitors.Tally) {
	fmt.Fprintf(out, "\n%-14s %31s %16s\n", "what happened", "the replacement's first answer", "failed requests")
	for _, e := range s.episodes {
		fmt.Fprintf(out, "%-14s %31s %16d\n", e.what, program.Short(e.missing), e.failed)
	}
	fmt.Fprintf(out, "\n%d requests, each on a new connection and none repeated:\n", met.Visits())
	fmt.Fprintf(out, "%6d failed, because whoever had them died\n", len(met.CutOff))
	fmt.Fprintf(out, "%6d refused\n", met.Refused)
	fmt.Fprintf(out, "%6d without an answer or an end\n", met.Hung)
	fmt.Fprintf(out, "The longest wait was %v, in the queue that the primary holds.\n", program.Short(met.Longest))
}
