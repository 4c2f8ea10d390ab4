package main

import (
	"cmp"
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"playing-with-processes/internal/cli"
	"playing-with-processes/internal/demo"
	"playing-with-processes/internal/drain"
	"playing-with-processes/internal/ipc"
)

// defaultWithin is how long a worker that is stopped finishes its requests, in milliseconds, if
// the primary does not say.
const defaultWithin = 5000

// beatInterval is what a worker promises. Its cost is one small message.
const beatInterval = time.Second

// worker is worker.js. It receives the listening socket from its primary and serves on it,
// until the primary sends stop or is gone.
func worker(ctx context.Context) error {
	primary, err := ipc.Parent()
	if err != nil {
		return err
	}
	retire := func() { send(primary, actRetire) }
	defer context.AfterFunc(ctx, retire)() // SIGTERM to this worker alone asks for that, too
	server := drain.New(pages(retire))

	stopped, setStopped := context.WithCancelCause(context.Background())
	defer setStopped(nil)
	for message, err := range primary.Messages() {
		if err != nil {
			return err
		}
		listener, err := message.Listener()
		if err == nil {
			go serve(server, listener, primary)
			continue
		}
		if !errors.Is(err, ipc.ErrNoHandle) { // this process is short of descriptors
			return err
		}
		var n notice
		if message.Decode(&n) == nil && n.Act == actStop {
			go func() {
				setStopped(stop(server, n.Within))
				primary.Disconnect()
			}()
		}
	}
	// The channel has ended. After a stop, this Drain ends at once. Otherwise the primary is
	// gone, and there is little time.
	ctx, cancel := context.WithTimeout(stopped, drain.OrphanTimeout)
	defer cancel()
	server.Drain(ctx)
	if cut := context.Cause(stopped); cut != context.Canceled {
		return cli.Lasting(cut)
	}
	return nil
}

// pages returns the pages of package demo, and one more that retires the worker.
func pages(retire func()) http.Handler {
	mux := demo.NewServer()
	mux.HandleFunc("/retire", func(w http.ResponseWriter, r *http.Request) {
		retire()
		demo.Answer(w, r)
	})
	return mux
}

// serve accepts connections. All workers have the same socket, and compete: the kernel gives
// each connection to one of them.
func serve(server *drain.Server, listener net.Listener, primary *ipc.Channel) {
	say.Printf("serving on %v", listener.Addr())
	primary.Send(context.Background(), notice{Act: actReady, Heartbeat: float64(beatInterval.Milliseconds())})
	go beat(primary)
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		log.Fatalf("worker: %v", err) // it would look alive, and answer nothing
	}
}

// beat sends heartbeats as long as the channel is open. They show that this process runs,
// not that each of its goroutines does.
func beat(primary *ipc.Channel) {
	for range time.Tick(beatInterval) {
		if send(primary, actBeat) != nil {
			return
		}
	}
}

// stop accepts no more connections, and finishes the requests within some milliseconds. From
// now on SIGTERM changes nothing: systemd and pkill send it to primary and workers together,
// and the primary when the time is over.
func stop(server *drain.Server, within int64) error {
	signal.Ignore(syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(cmp.Or(within, defaultWithin))*time.Millisecond)
	defer cancel()
	return server.Drain(ctx)
}

// send sends a notice. It fails if the primary is gone, which the loop over its messages
// notices as well.
func send(primary *ipc.Channel, act string) error {
	return primary.Send(context.Background(), notice{Act: act})
}
