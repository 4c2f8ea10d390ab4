package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"playing-with-processes/05-cluster/cluster"
	"playing-with-processes/internal/cli"
	"playing-with-processes/internal/demo"
)

// episodes returns what happens in the story.
func (s *story) episodes() []demo.Episode {
	spared := "a connection that it has not accepted goes to another worker"
	if s.primary.Policy() == cluster.None {
		spared = "a connection in the kernel's queue goes to another worker"
	}
	episodes := []demo.Episode{
		{Name: "kill -9", Shows: "what a worker has accepted ends with it, and nothing else", Run: s.with(s.kill)},
		{Name: "freeze, connect, kill -9", Shows: spared, Run: s.with(s.freezeAndKill)},
	}
	if s.primary.Policy() != cluster.None { // a frozen worker would go undetected
		episodes = append(episodes, demo.Episode{
			Name: "freeze", Shows: "a worker that does not accept what it is given is killed", Run: s.with(s.freeze),
		})
	}
	return append(episodes,
		demo.Episode{Name: "reload", Shows: "a new program is deployed, and no client notices", Run: s.reload},
		demo.Episode{Name: "reload to a program that does not start", Shows: "the old workers stay", Run: s.reloadBroken},
		demo.Episode{Name: "stop", Shows: "requests that have begun are finished", Run: s.stop},
	)
}

// with chooses the worker of an episode: the oldest one, or under Sticky the one that gets the
// clients' requests.
func (s *story) with(trouble func(context.Context, *cluster.Worker) error) func(context.Context) error {
	return func(ctx context.Context) error {
		answer, err := s.clients.Get("/")
		for _, w := range s.primary.Workers() {
			if s.primary.Policy() != cluster.Sticky || !s.named || w.String() == answer {
				return trouble(ctx, w)
			}
		}
		return cmp.Or(ctx.Err(), err, errors.New("no worker serves"))
	}
}

// beginSlow begins requests that get half of their answer at once, and the rest later: so many
// that each worker has some.
func (s *story) beginSlow() {
	s.say.Printf("%d more requests begin; each takes %v", 8*s.n, slowRequest)
	for range 8 * s.n {
		s.slow.Go(s.clients.Begin(fmt.Sprintf("/slow?ms=%d", slowRequest.Milliseconds())))
	}
}

func (s *story) kill(ctx context.Context, w *cluster.Worker) error {
	s.beginSlow()
	w.Signal(syscall.SIGKILL)
	return s.awaitReplacement(ctx, w)
}

func (s *story) freezeAndKill(ctx context.Context, w *cluster.Worker) error {
	defer time.AfterFunc(demo.Quiet, func() { w.Signal(syscall.SIGKILL) }).Stop()
	return s.freeze(ctx, w)
}

func (s *story) freeze(ctx context.Context, w *cluster.Worker) error {
	w.Signal(syscall.SIGSTOP)
	s.say.Printf("%v is stopped", w)
	if err := s.awaitReplacement(ctx, w); err != nil {
		return err
	}
	err := cli.Pause(ctx, demo.Quiet/2)
	if stats := s.clients.Snapshot(); err == nil && stats.LongestBy != "" && s.named && s.primary.Policy() != cluster.None {
		s.say.Printf("the longest wait so far: %v, until %s answered", cli.FormatDuration(stats.Longest), stats.LongestBy)
	}
	return err
}

// awaitReplacement waits for the end of a worker, and then for another worker to listen.
func (s *story) awaitReplacement(ctx context.Context, old *cluster.Worker) error {
	_, err := demo.Await(ctx, s.events, func(e cluster.Exit) bool { return e.Worker == old })
	if err == nil {
		_, err = demo.Await(ctx, s.events, func(cluster.Listening) bool { return true })
	}
	return err
}

// reload replaces all workers while they serve.
func (s *story) reload(ctx context.Context) error {
	s.beginSlow()
	return s.timedReload(ctx)
}

// reloadBroken deploys a program that does not start.
func (s *story) reloadBroken(ctx context.Context) error {
	s.broken.Store(true)
	defer s.broken.Store(false)
	if err := s.timedReload(ctx); ctx.Err() != nil || err == nil {
		return cmp.Or(ctx.Err(), errors.New("it was deployed all the same"))
	}
	return nil
}

// timedReload reloads, and shows what the clients saw of it.
func (s *story) timedReload(ctx context.Context) error {
	before, begun := s.clients.Snapshot(), time.Now()
	err := s.primary.Reload(ctx)
	took, after := time.Since(begun), s.clients.Snapshot()
	s.say.Printf("it took %v; of %d requests that ended meanwhile %d failed",
		cli.FormatDuration(took), after.Requests()-before.Requests(), after.Failed()-before.Failed())
	return err
}

// stop shuts the cluster down during slow requests.
func (s *story) stop(ctx context.Context) error {
	s.beginSlow()
	s.clients.Stop() // later requests would be refused, as they should
	err := s.primary.Shutdown(ctx)
	s.slow.Wait()
	return err
}
