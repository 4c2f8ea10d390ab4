package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"playing-with-processes/05-cluster/cluster"
)

// note is what the primary and the workers of this program send each other.
type note struct {
	Act      string `json:"act"`
	ID       int64  `json:"id,omitzero"`       // of a question and its answer
	Requests int    `json:"requests,omitzero"` // of all workers, in the answer
	Job      int64  `json:"job,omitzero"`      // its number
}

// The acts of notes.
const (
	actRequest = "request" // from a worker: a client has made a request
	actCount   = "count"   // from a worker: how many have there been? and the answer
	actJob     = "job"     // from the primary: do this job
	actDone    = "done"    // from a worker: I have done it
)

// answerTimeout keeps a primary that does not read, or does not answer, from holding up a client.
const answerTimeout = time.Second

// answer is the primary's side: it counts the requests of all workers, and answers how many there
// have been.
func answer(p *cluster.Primary, jobs *schedule) {
	requests := 0
	for w, message := range p.Messages() { // cluster.on('message', (worker, message) => { … })
		var n note
		message.Decode(&n) // another message has no act
		message.Close()
		switch n.Act {
		case actRequest:
			requests++
		case actCount:
			n.Requests = requests
			go reply(w, n)
		case actDone:
			jobs.done(n.Job)
		}
	}
}

func reply(w *cluster.Worker, n note) {
	ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
	defer cancel()
	w.Send(ctx, n) // worker.send(message)
}

// asker is a worker's side.
type asker struct {
	finishing sync.Mutex // held during a job

	mu      sync.Mutex
	lastID  int64
	waiting map[int64]chan<- int // for answers
}

func newAsker() *asker { return &asker{waiting: map[int64]chan<- int{}} }

// listen handles the primary's messages.
func (a *asker) listen() {
	for message, err := range cluster.Messages() { // process.on('message', message => { … })
		var n note
		if err == nil {
			message.Decode(&n)
		}
		message.Close()
		switch n.Act {
		case actCount:
			a.answered(n)
		case actJob:
			go a.do(n.Job)
		}
	}
}

func (a *asker) answered(n note) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if waiting := a.waiting[n.ID]; waiting != nil {
		delete(a.waiting, n.ID)
		waiting <- n.Requests
	}
}

// do does a job, and reports it.
func (a *asker) do(job int64) {
	a.finishing.Lock()
	defer a.finishing.Unlock()
	say.Printf("job %d runs here alone, in slot %d", job, cluster.Slot())
	cluster.Send(context.Background(), note{Act: actDone, Job: job})
}

// finish waits for the end of the job that has begun, if any, and lets no other begin.
func (a *asker) finish() { a.finishing.Lock() }

// serve returns the pages with /count, and tells the primary of each request.
func (a *asker) serve(pages *http.ServeMux) http.Handler {
	pages.HandleFunc("/count", a.count)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), answerTimeout)
		cluster.Send(ctx, note{Act: actRequest}) // process.send(message)
		cancel()
		pages.ServeHTTP(w, r)
	})
}

// count answers how many requests all workers have had.
func (a *asker) count(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), answerTimeout)
	defer cancel()
	requests, err := a.ask(ctx)
	if err != nil {
		http.Error(w, fmt.Sprintf("the primary does not answer: %v", err), http.StatusGatewayTimeout)
		return
	}
	fmt.Fprintf(w, "requests: %d\n", requests)
}

// ask asks the primary for the number of requests.
func (a *asker) ask(ctx context.Context) (requests int, err error) {
	answered := make(chan int, 1)
	a.mu.Lock()
	a.lastID++
	id := a.lastID
	a.waiting[id] = answered
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		delete(a.waiting, id)
		a.mu.Unlock()
	}()
	if err := cluster.Send(ctx, note{Act: actCount, ID: id}); err != nil {
		return 0, err
	}
	select {
	case requests = <-answered:
		return requests, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}
