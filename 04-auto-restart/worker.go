package main

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"time"

	"playing-with-processes/internal/drain"
	"playing-with-processes/internal/ipc"
	"playing-with-processes/internal/site"
)

const (
	// beatEvery is what a worker promises. Its cost is one small message.
	beatEvery = time.Second
	// orphanFor is how long a worker without a primary may take to finish what is
	// open. Nobody would replace it, or tell it to stop.
	orphanFor = 500 * time.Millisecond
)

// worker takes the listening socket from its primary and serves on it until the
// primary says stop, or is gone: worker.js.
func worker(ctx context.Context) error {
	primary, err := ipc.Parent()
	if err != nil {
		return err
	}
	server := drain.New(pages(func() { tell(primary, actRetire) }))
	// SIGTERM to this worker alone is a wish to be replaced.
	defer context.AfterFunc(ctx, func() { tell(primary, actRetire) })()

	finished, finish := context.WithCancel(context.Background())
	defer finish()
	for message, err := range primary.Messages() {
		if err != nil {
			return err
		}
		if listener, err := message.Listener(); err == nil {
			go serve(server, listener, primary)
			continue
		}
		var asked notice
		if message.Decode(&asked) == nil && asked.Act == actStop {
			go func() {
				leave(ctx, server)
				finish()
				primary.Disconnect()
			}()
		}
	}
	// The end of the channel, and nobody had to look for it: the primary is gone,
	// or the drain is done.
	ctx, cancel := context.WithTimeout(finished, orphanFor)
	defer cancel()
	server.Drain(ctx)
	return nil
}

// pages are the site, and one more on which the worker retires.
func pages(retire func()) http.Handler {
	mux := site.New()
	mux.HandleFunc("/retire", func(w http.ResponseWriter, r *http.Request) {
		retire()
		site.Answer(w, r)
	})
	return mux
}

// serve accepts connections, in competition with the other workers: the socket is
// the same, and the kernel gives each connection to one of them.
func serve(server *drain.Server, listener net.Listener, primary *ipc.Channel) {
	say.Printf("serving on %v", listener.Addr())
	primary.Send(context.Background(), notice{Act: actReady, Heartbeat: float64(beatEvery.Milliseconds())})
	go beat(primary)
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		log.Fatalf("worker: %v", err) // else it would look well, and answer nobody
	}
}

// beat sends heartbeats as long as the channel lives. That it does shows that this
// process runs, and not that each of its goroutines does.
func beat(primary *ipc.Channel) {
	for range time.Tick(beatEvery) {
		if tell(primary, actBeat) != nil {
			return
		}
	}
}

// leave accepts nothing new, and finishes what is open. SIGTERM means that there has
// been time enough for it. If that has been heard before, as a wish, a second one
// ends the process at once.
func leave(ctx context.Context, server *drain.Server) {
	if ctx.Err() != nil {
		ctx = context.Background()
	}
	server.Drain(ctx)
}

// tell sends a notice. The error is that the primary is gone, of which the loop
// over its messages learns as well.
func tell(primary *ipc.Channel, act string) error {
	return primary.Send(context.Background(), notice{Act: act})
}
