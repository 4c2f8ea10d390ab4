package main

import (
	"context"
	"sync"
	"time"

	"playing-with-processes/05-cluster/cluster"
)

// schedule has a job done once in each period, by the worker in slot 0. There is one clock, the
// primary's, and no two workers have the slot, so no job is done twice.
//
// A worker that leaves without having done a job leaves it to its successor. If the worker is
// killed, the job may have been done or not; it is not given again, so at most that one is missing.
type schedule struct {
	primary *cluster.Primary

	mu    sync.Mutex
	job   int64           // the number of the last one
	due   bool            // it is not done
	given *cluster.Worker // has it, or nil
}

// run begins a job in each period, until ctx ends. A job that is still due then is missing.
func (s *schedule) run(ctx context.Context, period time.Duration) {
	for tick := time.Tick(period); ; {
		select {
		case <-tick:
			s.mu.Lock()
			s.job, s.due, s.given = s.job+1, true, nil
			s.give()
			s.mu.Unlock()
		case <-ctx.Done():
			return
		}
	}
}

// give gives the job to the worker in slot 0, if it is due and there is such a worker. The caller
// holds s.mu.
func (s *schedule) give() {
	if !s.due || s.given != nil {
		return
	}
	if w := s.primary.InSlot(0); w != nil {
		s.given = w
		go w.Send(context.Background(), note{Act: actJob, Job: s.job}) // fails only if it ends
	}
}

// handleEvent gives the job to another worker, if that changes who can have it.
func (s *schedule) handleEvent(event cluster.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if exit, is := event.(cluster.Exit); is && exit.Worker == s.given {
		s.given = nil
		s.due = s.due && exit.AfterDisconnect && exit.Exit == (cluster.ExitStatus{})
	}
	s.give()
}

// done reports that a job is done.
func (s *schedule) done(job int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if job == s.job {
		s.due = false
	}
}
