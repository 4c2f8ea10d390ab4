package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"playing-with-processes/05-cluster/cluster"
	"playing-with-processes/internal/program"
)

// What happens in the story, one thing after the other.

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
	if met := s.crowd.Sofar(); err == nil && s.policy != cluster.None {
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

// reload replaces all workers while they serve.
func (s *story) reload(ctx context.Context, _ *cluster.Worker) error {
	s.beginSlow()
	return s.duringReload(ctx)
}

// reloadBroken deploys something that does not start.
func (s *story) reloadBroken(ctx context.Context, _ *cluster.Worker) error {
	s.broken.Store(true)
	defer s.broken.Store(false)
	if err := s.duringReload(ctx); ctx.Err() != nil || err == nil {
		return cmp.Or(ctx.Err(), errors.New("it was deployed all the same"))
	}
	return nil
}

// duringReload reloads, and tells what the visitors noticed of it.
func (s *story) duringReload(ctx context.Context) error {
	visits, failed := s.sofar()
	begun := time.Now()
	err := s.primary.Reload(ctx)
	took := time.Since(begun)
	visitsNow, failedNow := s.sofar()
	s.say.Printf("it took %v; of %d requests that ended meanwhile %d failed", program.Short(took), visitsNow-visits, failedNow-failed)
	return err
}

// sofar is how many requests there were since the crowd came, and how many failed.
func (s *story) sofar() (visits, failed int) {
	crowd, patient := s.crowd.Sofar(), s.patient.Sofar()
	return crowd.Visits() + patient.Visits(), crowd.Failed() + patient.Failed()
}

// stop ends the cluster while some are being served.
func (s *story) stop(ctx context.Context, _ *cluster.Worker) error {
	s.beginSlow()
	s.crowd.Disperse() // who comes after it is refused, and that is as it should be
	err := s.primary.Shutdown(ctx)
	s.there.Wait()
	return err
}
