package main

import (
	"context"
	"sync"
	"time"

	"playing-with-processes/05-cluster/cluster"
)

// schedule runs a job once in each period, in the worker that has slot 0. There is one clock, the
// primary's, and one job at a time, so no job runs twice.
//
// If a worker leaves without having done its job, its successor gets the job. If it crashes or is
// killed, also because its job takes longer than it may take to leave, the job may have run or not,
// and is not given again: it may be missing. So is a job that cannot begin in its period.
type schedule struct {
	primary *cluster.Primary

	mu      sync.Mutex
	periods int64           // so far
	job     int64           // the last one, by its period
	due     bool            // it is not done yet
	given   *cluster.Worker // the worker that has it, or nil
	unsent  bool            // the worker's channel had ended before
	heard   bool            // all messages of the worker have been handled
	exit    *cluster.Exit   // of the worker, or nil
}

// run begins a job in each period, until ctx ends.
func (s *schedule) run(ctx context.Context, period time.Duration) {
	for tick := time.Tick(period); ; {
		select {
		case <-tick:
			s.begin()
		case <-ctx.Done():
			return
		}
	}
}

// begin begins the job of a period, if the last job does not run any more.
func (s *schedule) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.periods++
	if s.given == nil {
		s.job, s.due = s.periods, true
		s.give()
	}
}

// give gives the job to the worker in slot 0, if it is due and there is such a worker. The caller
// holds s.mu, as for settle.
func (s *schedule) give() {
	if !s.due || s.given != nil {
		return
	}
	if w := s.primary.InSlot(0); w != nil {
		s.given, s.unsent, s.heard, s.exit = w, false, false, nil
		go s.send(w, s.job)
	}
}

func (s *schedule) send(w *cluster.Worker, job int64) {
	err := w.Send(context.Background(), note{Act: actJob, Job: job})
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.given == w && err != nil {
		s.unsent = true
		s.settle()
	}
}

// handleEvent gives the job to another worker if the event changes which worker can have it.
func (s *schedule) handleEvent(event cluster.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch e := event.(type) {
	case cluster.Disconnect:
		s.heard = s.heard || e.Worker == s.given
	case cluster.Exit:
		if e.Worker == s.given {
			s.exit = &e
		}
	}
	s.settle()
	s.give()
}

// settle decides what becomes of the job after the end of the worker that had it.
func (s *schedule) settle() {
	if s.given == nil || s.exit == nil || !s.heard && !s.unsent {
		return
	}
	left := s.exit.AfterDisconnect && s.exit.Exit == (cluster.ExitStatus{})
	s.due = s.due && (left || s.unsent)
	s.given = nil
	s.give()
}

// done reports that a job is done.
func (s *schedule) done(job int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if job == s.job {
		s.due, s.given = false, nil
	}
}
