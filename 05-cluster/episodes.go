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
	waiting := "another worker answers what it was given and has not accepted"
	if s.policy == cluster.None {
		waiting = "another worker answers what waits in the kernel's queue"
	}
	episodes := []demo.Episode{
		{Name: "kill -9", Shows: "what a worker has accepted ends with it, and nothing else", Run: s.with(s.kill)},
		{Name: "freeze, connect, kill -9", Shows: waiting, Run: s.with(s.freezeAndKill)},
	}
	if s.policy != cluster.None { // a frozen worker would go undetected
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

// with chooses a worker for an episode.
func (s *story) with(trouble func(context.Context, *cluster.Worker) error) func(context.Context) error {
	return func(ctx context.Context) error {
		w, err := s.chooseWorker(ctx)
		if err != nil {
			return err
		}
		return trouble(ctx, w)
	}
}

// beginSlow begins requests that get half of their answer at once, and the rest later: so many
// that each worker has some.
func (s *story) beginSlow() {
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
	w.Signal(syscall.SIGSTOP)
	s.say.Printf("%v is stopped", w)
	if err := cli.Pause(ctx, demo.Quiet); err != nil {
		return err
	}
	w.Signal(syscall.SIGKILL)
	if err := s.awaitReplacement(ctx, w); err != nil {
		return err
	}
	return s.showLongest(ctx)
}

func (s *story) freeze(ctx context.Context, w *cluster.Worker) error {
	w.Signal(syscall.SIGSTOP)
	s.say.Printf("%v is stopped", w)
	if err := s.awaitReplacement(ctx, w); err != nil {
		return err
	}
	return s.showLongest(ctx)
}

// showLongest shows how long the client of the frozen worker has waited.
func (s *story) showLongest(ctx context.Context) error {
	err := cli.Pause(ctx, demo.Quiet/2)
	if stats := s.clients.Snapshot(); err == nil && s.policy != cluster.None {
		s.say.Printf("the longest wait so far was %v; then %s answered", cli.FormatDuration(stats.Longest), s.nameOf(stats.LongestBy))
	}
	return err
}

// nameOf returns the name of the worker that gives this answer.
func (s *story) nameOf(answer string) string {
	for _, w := range s.primary.Workers() {
		if answerOf(w) == answer {
			return w.String()
		}
	}
	return answer
}

// awaitReplacement waits for the end of a worker, and for another worker to listen.
func (s *story) awaitReplacement(ctx context.Context, old *cluster.Worker) error {
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
