package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"playing-with-processes/internal/cli"
	"playing-with-processes/internal/demo"
	"playing-with-processes/internal/restart"
	"playing-with-processes/internal/supervise"
)

// story is the demonstration: clients make requests all the time, and one thing after the
// other goes wrong.
type story struct {
	say     *log.Logger
	clients *demo.Clients
	events  chan supervise.Event // of the primary, in order
	first   []string             // the workers that answered before anything went wrong

	failed   int           // requests before the current episode
	took     time.Duration // from its beginning to the replacement's first answer
	outcomes []outcome
}

// outcome is what the clients saw of one episode.
type outcome struct {
	episode string
	took    time.Duration
	failed  int
}

// demonstrate plays the story on the server, and then stops the workers.
func demonstrate(ctx context.Context, server net.Listener, o options) error {
	s := &story{
		say:    cli.NewLogger("demo"),
		events: make(chan supervise.Event, 1000),
	}
	serving, stop := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		keepServing(serving, server, o, func(e supervise.Event) {
			say.Print(e)
			s.events <- e
		})
	}()
	s.clients = demo.Start(ctx, demo.Load{Address: server.Addr().String(), Clients: demo.NumClients, Rest: demo.Rest})
	err := s.play(ctx)
	stats := s.clients.Stop()
	stop()
	<-stopped
	if err != nil {
		return err
	}
	s.summary(os.Stdout, stats)
	if stats.Refused+stats.Hung > 0 {
		return fmt.Errorf("%d connections were refused, %d requests hung", stats.Refused, stats.Hung)
	}
	return nil
}

func (s *story) play(ctx context.Context) error {
	if err := s.showShares(ctx); err != nil {
		return err
	}
	err := demo.Play(ctx, s.say, []demo.Episode{
		{Name: "a crash", Shows: "an error that nothing catches ends its process, and no other", Run: s.timed(s.crash)},
		{Name: "kill -9", Shows: "no process can prevent it; but the port is not the worker's", Run: s.timed(s.kill)},
		{Name: "retire", Shows: "a worker that asks to be replaced serves until then: no request fails", Run: s.timed(s.retire)},
		{Name: "a freeze", Shows: "a stopped process cannot say so: its heartbeats stay away", Run: s.timed(s.freeze)},
		{Name: "a crash loop", Shows: "longer and longer pauses, then single probes, while connections wait", Run: s.timed(s.crashLoop)},
	}, s.record)
	if err != nil {
		return err
	}
	return s.awaitRecovery(ctx)
}

// timed runs an episode until the replacement has given its first answer.
func (s *story) timed(trouble func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		s.failed = len(s.clients.Snapshot().Failures)
		begun := time.Now()
		for len(s.events) > 0 { // what happened before does not matter
			<-s.events
		}
		if err := trouble(ctx); err != nil {
			return err
		}
		answered, err := s.replacement(ctx)
		s.took = answered.Sub(begun)
		return err
	}
}

// record prints and keeps the outcome of an episode.
func (s *story) record(e demo.Episode) {
	o := outcome{e.Name, s.took, len(s.clients.Snapshot().Failures) - s.failed}
	s.say.Printf("the replacement's first answer came after %v; failed requests: %d", cli.FormatDuration(o.took), o.failed)
	s.outcomes = append(s.outcomes, o)
}

// showShares shows how many requests each worker gets.
func (s *story) showShares(ctx context.Context) error {
	s.say.Printf("%d clients make requests, each on a new connection", demo.NumClients)
	if err := cli.Pause(ctx, restart.StableAfter+demo.Quiet/2); err != nil {
		return err
	}
	var shares []string
	answered := s.clients.Snapshot().Answered
	s.first = slices.Sorted(maps.Keys(answered))
	for _, worker := range s.first {
		shares = append(shares, fmt.Sprintf("%s answered %d", worker, answered[worker]))
	}
	s.say.Printf("%s: they race for each connection, and nothing makes it fair", strings.Join(shares, ", "))
	return nil
}

// crash makes a worker panic. The client that asks for it gets no answer.
func (s *story) crash(context.Context) error {
	_, err := s.clients.Get("/crash")
	s.say.Printf("the client of /crash sees: %v", err)
	return nil
}

// kill kills one of the first workers, if one of them is left.
func (s *story) kill(context.Context) error {
	answer := ""
	for range 200 {
		var err error
		if answer, err = s.clients.Get("/"); err != nil {
			return err
		}
		if slices.Contains(s.first, answer) {
			break
		}
	}
	var pid int
	if _, err := fmt.Sscanf(answer, "worker %d", &pid); err != nil {
		return fmt.Errorf("the answer %q does not name a worker", answer)
	}
	s.say.Printf("kill -9 %d", pid)
	return syscall.Kill(pid, syscall.SIGKILL)
}

func (s *story) retire(context.Context) error {
	answer, err := s.clients.Get("/retire")
	s.say.Printf("%s answers /retire", answer)
	return err
}

func (s *story) freeze(context.Context) error {
	_, err := s.clients.Get("/hang")
	s.say.Printf("the client of /hang, and each that this worker was serving, sees: %v", err)
	return nil
}

// crashLoop crashes each worker as soon as one answers, until restarts are suspended and the
// probe has started. It asks for /crash only right after an answer: a request that waited in
// the queue would crash the probe, too.
func (s *story) crashLoop(ctx context.Context) error {
	for ctx.Err() == nil {
		if _, err := s.clients.Get("/"); err != nil {
			continue // the worker that had it died
		}
		if s.drainEvents(restart.Probing) {
			return nil
		}
		s.clients.Get("/crash")
	}
	return ctx.Err()
}

// drainEvents reads the events so far, until one says that restarts are in this state, and
// reports whether one did.
func (s *story) drainEvents(wanted restart.State) bool {
	for len(s.events) > 0 {
		if e, ok := (<-s.events).(supervise.Restarts); ok && e.State == wanted {
			return true
		}
	}
	return false
}

// replacement returns when the next worker that gets ready has first answered.
func (s *story) replacement(ctx context.Context) (time.Time, error) {
	worker, answered := "", map[string]time.Time{}
	for worker == "" || answered[worker].IsZero() {
		select {
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		case event := <-s.events:
			if e, ok := event.(supervise.Ready); ok && worker == "" {
				worker = e.Worker.String()
			}
		case f := <-s.clients.Firsts:
			answered[f.Answer] = f.At
		}
	}
	return answered[worker], nil
}

// awaitRecovery waits until the probe has proved stable.
func (s *story) awaitRecovery(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case event := <-s.events:
			if e, ok := event.(supervise.Restarts); ok && e.State == restart.On {
				return cli.Pause(ctx, demo.Quiet)
			}
		}
	}
}

func (s *story) summary(out io.Writer, stats demo.Stats) {
	fmt.Fprintf(out, "\n%-14s %31s %16s\n", "what happened", "the replacement's first answer", "failed requests")
	for _, o := range s.outcomes {
		fmt.Fprintf(out, "%-14s %31s %16d\n", o.episode, cli.FormatDuration(o.took), o.failed)
	}
	fmt.Fprintf(out, "\n%d requests, each on a new connection and none repeated:\n", stats.Requests())
	fmt.Fprintf(out, "%6d failed, because their worker died\n", len(stats.Failures))
	fmt.Fprintf(out, "%6d refused\n", stats.Refused)
	fmt.Fprintf(out, "%6d without an answer or an end\n", stats.Hung)
	fmt.Fprintf(out, "The longest wait was %v, in the queue that the primary holds open.\n", cli.FormatDuration(stats.Longest))
}
