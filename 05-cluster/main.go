// Command 05-cluster is one server on all cores: a primary that owns the port, and workers
// that serve the connections. It uses package cluster, which is Node's cluster module in Go.
//
// Usage: go run ./05-cluster [-addr 127.0.0.1:1337] [-n 2] [-sched rr|none|sticky]
// or:    go run ./05-cluster [-status 127.0.0.1:0] [-trace] [-every 5s]
// or:    go run ./05-cluster -watch
// or:    go run ./05-cluster -exec 05-cluster/node/worker.js
// or:    go run ./05-cluster -demo
//
// This file is the notes' program: what a user of the module writes. messages.go is what its
// processes tell each other, and schedule.go has a job done by one worker only. Read the module
// next, from cluster/cluster.go on. The command line is in flags.go, and signals.go is what can be
// asked of the primary while it runs. watch.go runs the cluster beside a page that shows it, which
// is in watch/. The demonstration is in demo.go, episodes.go and
// summary.go. The first of its pages is docs/05-cluster.md.
package main

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"playing-with-processes/05-cluster/cluster"
	"playing-with-processes/internal/cli"
	"playing-with-processes/internal/demo"
)

// primary forks the workers, reports what happens, and shuts down when ctx ends. It opens a
// port only when a worker asks for it. Workers that end are replaced.
func primary(ctx context.Context, o options) error {
	p, err := cluster.SetupPrimary(o.settings()) // cluster.setupMaster({ exec: "worker.js" })
	if err != nil {
		return err
	}
	o.page.Attach(p)
	broken, jobs := make(chan error, 1), &schedule{primary: p}
	var handling sync.WaitGroup
	handling.Go(func() { report(p.Events(), o, jobs, broken) })
	handling.Go(func() { answer(p, jobs) })
	defer handling.Wait()

	stop, err := control(p, o.status)
	if err != nil {
		return errors.Join(err, p.Shutdown(context.Background()))
	}
	defer stop()
	for range o.n { // for(let i=0; i<cpus.length; i++)
		if _, err := p.Fork(); err != nil { // cluster.fork()
			return errors.Join(err, p.Shutdown(context.Background()))
		}
	}
	if o.every > 0 {
		go jobs.run(ctx, o.every)
	}
	select {
	case <-ctx.Done():
		say.Print("stopping: the workers finish their requests")
		return errors.Join(p.Shutdown(context.Background()), cli.Unfinished(p.Unfinished()), lastReload(p))
	case err := <-broken:
		return errors.Join(err, p.Shutdown(context.Background()))
	}
}

// report prints the events. A worker that ends before any worker has listened means that the
// command is broken, and not the worker: that is the error of the primary.
func report(events <-chan cluster.Event, o options, jobs *schedule, broken chan<- error) {
	hint := time.AfterFunc(hintAfter, printListenHint)
	defer hint.Stop()
	started, failed := false, false
	for event := range events {
		jobs.handleEvent(event)
		o.page.Handle(event)
		exit, is := event.(cluster.Exit)
		switch {
		case failed: // one error is enough
			continue
		case is && !started && !exit.AfterDisconnect:
			hint.Stop()
			broken <- errors.New(exit.String())
			failed = true
			continue
		}
		if _, is := event.(cluster.Disconnect); !is || o.trace { // Exit says more
			say.Print(event)
		}
		if e, is := event.(cluster.Listening); is && !started {
			hint.Stop()
			started = true
			printHints(e.Address, o.exec == "")
		}
	}
}

// worker is an ordinary server: elsewhere, cluster.Listen and cluster.Serve would be
// net.Listen and http.Serve.
func worker(ctx context.Context, args []string) error {
	addr, err := workerAddr(args)
	if err != nil {
		return err
	}
	// SIGTERM to this worker alone asks it to leave.
	defer context.AfterFunc(ctx, func() { cluster.Leave() })()
	listener, err := cluster.Listen("tcp", addr)
	if errors.Is(err, net.ErrClosed) { // it must leave already
		return nil
	}
	if err != nil {
		return err
	}
	say.Printf("serving on http://%v", listener.Addr())
	asker := newAsker()
	go asker.listen()
	defer asker.finish()
	return cli.Lasting(cluster.Serve(listener, asker.serve(demo.NewServer())))
}

func main() { cli.Main("05-cluster", usage, run) }
