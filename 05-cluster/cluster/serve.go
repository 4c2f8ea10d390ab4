package cluster

import (
	"context"
	"net"
	"net/http"

	"playing-with-processes/internal/drain"
)

// Serve is http.Serve for a worker. When the worker must leave, Serve finishes the requests,
// for as long as the primary's DrainTimeout allows, and returns nil; then exit. From then on
// each answer has Connection: close, so that the client sends its next request to another
// worker. Serve closes l.
func Serve(l net.Listener, handler http.Handler) error {
	server := drain.New(handler)
	served, drained := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(drained)
		select {
		case <-served:
		case <-Leaving():
			primary, _ := self()
			ctx, cancel := context.WithTimeout(context.Background(), primary.drain)
			defer cancel()
			server.Drain(ctx)
		}
	}()
	err := server.Serve(l)
	select {
	case <-Leaving():
		err = nil
	default:
		close(served)
	}
	<-drained
	return err
}
