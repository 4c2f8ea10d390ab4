package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"playing-with-processes/internal/cli"
	"playing-with-processes/internal/demo"
	"playing-with-processes/internal/restart"
	"playing-with-processes/internal/supervise"
)

// row is the format of a line of the table.
const row = "%-14v %31v %16v\n"

// story is the demonstration: clients make requests all the time, and one thing after the
// other goes wrong.
type story struct {
	say     *log.Logger
	clients *demo.Clients
	events  chan supervise.Event // of the primary, in order
	workers []*supervise.Worker  // the first ones and their replacements, oldest first
	removed atomic.Bool          // the program that the workers run
	table   strings.Builder      // what the clients saw of each episode

	failed int           // requests before the current episode
	took   time.Duration // from its beginning to the replacement's first answer
}

// demonstrate plays the story on the server, and then stops the workers.
func demonstrate(ctx context.Context, server net.Listener, o options) error {
	s := &story{say: cli.NewServerLogger("demo"), events: make(chan supervise.Event, 1000)}
	os.Setenv("GOTRACEBACK", "none") // a panic of a worker is one line
	command := o.command
	o.command = func(w *supervise.Worker) *exec.Cmd {
		if s.removed.Load() {
			return exec.Command("./removed")
		}
		return command(w)
	}
	serving, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		keepServing(serving, server, o, func(e supervise.Event) {
			say.Print(e)
			s.events <- e
		})
	})
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.clients = demo.Start(ctx, demo.Load{Address: server.Addr().String(), Clients: demo.NumClients, Rest: demo.Rest})
	err := s.play(ctx, o.n)
	if err != nil {
		cancel() // no worker may answer the clients
	}
	stats := s.clients.Stop()
	stop()
	running.Wait()
	if err != nil {
		return err
	}
	s.summary(cli.Stdout, stats)
	if stats.Refused+stats.Hung > 0 {
		return fmt.Errorf("%d connections were refused, %d requests hung", stats.Refused, stats.Hung)
	}
	return nil
}

func (s *story) play(ctx context.Context, workers int) error {
	s.say.Printf("%d clients make requests, each on a new connection", demo.NumClients)
	for range workers {
		if err := s.firstReady(ctx); err != nil {
			return err
		}
	}
	if err := s.showShares(ctx); err != nil {
		return err
	}
	err := demo.Play(ctx, s.say, []demo.Episode{
		{Name: "a crash", Shows: "an error that nothing catches ends its process, and no other", Run: s.timed(s.crash)},
		{Name: "kill -9", Shows: "no process can prevent it, but the port does not belong to the worker", Run: s.timed(s.kill)},
		{Name: "retire", Shows: "a worker that asks to be replaced serves until then: no request fails", Run: s.timed(s.retire)},
		{Name: "a freeze", Shows: "a stopped process cannot say so, but its heartbeats stop", Run: s.timed(s.freeze)},
		{Name: "a crash loop", Shows: "a program that does not start: longer and longer pauses, then single probes", Run: s.timed(s.crashLoop)},
	}, s.record)
	if err != nil {
		return err
	}
	// The probe proves stable, and then the other workers start.
	demo.Await(ctx, s.events, func(e supervise.Restarts) bool { return e.State == restart.On })
	return cli.Pause(ctx, demo.Quiet)
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
		replacement, err := s.nextReady(ctx)
		if err != nil {
			return err
		}
		first, err := demo.Await(ctx, s.clients.Firsts, func(f demo.First) bool {
			return f.Answer == replacement.String()
		})
		s.took = first.At.Sub(begun)
		return err
	}
}

// record prints and keeps the outcome of an episode.
func (s *story) record(e demo.Episode) {
	took, failed := cli.FormatDuration(s.took), len(s.clients.Snapshot().Failures)-s.failed
	s.say.Printf("the replacement's first answer came after %v; failed requests: %d", took, failed)
	fmt.Fprintf(&s.table, row, e.Name, took, failed)
}

// nextReady waits until a worker gets ready.
func (s *story) nextReady(ctx context.Context) (*supervise.Worker, error) {
	e, err := demo.Await(ctx, s.events, func(supervise.Ready) bool { return true })
	s.workers = append(s.workers, e.Worker)
	return e.Worker, err
}

// firstReady waits until one more of the first workers gets ready. A worker that does not is
// an error: its command is broken.
func (s *story) firstReady(ctx context.Context) error {
	event, err := demo.Await(ctx, s.events, func(e supervise.Event) bool {
		switch e.(type) {
		case supervise.Ready, supervise.StartFailed, supervise.Exited:
			return true
		}
		return false
	})
	if err != nil {
		return err
	}
	ready, is := event.(supervise.Ready)
	if !is {
		return errors.New(event.String())
	}
	s.workers = append(s.workers, ready.Worker)
	return nil
}

// showShares waits until the workers are stable, and shows how many requests each one gets.
func (s *story) showShares(ctx context.Context) error {
	if err := cli.Pause(ctx, restart.StableAfter); err != nil {
		return err
	}
	var shares []string
	answered := s.clients.Snapshot().Answered
	for _, w := range s.workers {
		shares = append(shares, fmt.Sprintf("%v answered %d", w, answered[w.String()]))
	}
	s.say.Printf("%s: they race for each connection", strings.Join(shares, ", "))
	return nil
}

// crash makes a worker panic. The client that asks for it gets no answer.
func (s *story) crash(context.Context) error {
	_, err := s.clients.Get("/crash")
	s.say.Printf("the client of /crash sees: %v", err)
	return nil
}

// kill kills the oldest worker. If there are more than one, it is stable and replaced at once.
func (s *story) kill(context.Context) error {
	for _, w := range s.workers {
		if w.State() == supervise.Serving {
			s.say.Printf("kill -9 %d", w.Pid())
			w.Signal(syscall.SIGKILL)
			return nil
		}
	}
	return errors.New("no worker serves")
}

func (s *story) retire(context.Context) error {
	answer, err := s.clients.Get("/retire")
	s.say.Printf("%s answers /retire", answer)
	return err
}

func (s *story) freeze(context.Context) error {
	_, err := s.clients.Get("/hang")
	s.say.Printf("the client of /hang sees: %v", err)
	return nil
}

// crashLoop removes the program and kills the workers, until restarts are suspended. Stable
// workers are replaced at once, so the first error is that the program is missing.
func (s *story) crashLoop(ctx context.Context) error {
	if err := cli.Pause(ctx, restart.StableAfter); err != nil {
		return err
	}
	s.say.Print("the program of the workers is removed, and the workers are killed")
	s.removed.Store(true)
	for _, w := range s.workers {
		w.Signal(syscall.SIGKILL)
	}
	_, err := demo.Await(ctx, s.events, func(e supervise.Restarts) bool { return e.State == restart.Suspended })
	s.removed.Store(false)
	s.say.Print("the program is there again, before the probe starts")
	return err
}

func (s *story) summary(out io.Writer, stats demo.Stats) {
	fmt.Fprintf(out, "\n"+row, "what happened", "the replacement's first answer", "failed requests")
	fmt.Fprint(out, s.table.String())
	fmt.Fprintf(out, "\n%d requests, each on a new connection and none repeated:\n", stats.Requests())
	fmt.Fprintf(out, "%6d failed, because their worker died\n", len(stats.Failures))
	fmt.Fprintf(out, "%6d refused\n", stats.Refused)
	fmt.Fprintf(out, "%6d without an answer or an end\n", stats.Hung)
	fmt.Fprintf(out, "The longest wait was %v, in the queue that the primary holds open.\n", cli.FormatDuration(stats.Longest))
}
