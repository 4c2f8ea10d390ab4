package cluster

import (
	"context"
	"net"
	"net/http"

	"playing-with-processes/internal/drain"
)

// Serve is http.Serve for a worker. When the worker must leave, Serve finishes the requests,
// for as long as the primary's DrainTimeout allows, and returns nil; then exit. From then on
// each answer has Connection: close, which sends the client to another worker. Serve closes l.
func Serve(l net.Listener, handler http.Handler) error {
	server := drain.New(handler)
	served := make(chan struct{})
	var err error
	go func() {
		defer close(served)
		err = server.Serve(l)
	}()
	select {
	case <-served:
	case <-Leaving():
	}
	primary, _ := self()
	if primary == nil || !primary.leaving() {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), primary.drainTime)
	defer cancel()
	server.Drain(ctx)
	<-served
	return nil
}
