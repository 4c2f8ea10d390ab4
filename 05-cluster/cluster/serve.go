package cluster

import (
	"context"
	"net"
	"net/http"

	"playing-with-processes/internal/drain"
)

// Serve is http.Serve for a worker. When the worker is to leave it finishes what is open,
// for as long as the primary's DrainTimeout allows, and returns nil: then exit. Each
// answer says Connection: close from then on, so that the client sends its next request
// to somebody else. It closes l.
func Serve(l net.Listener, handler http.Handler) error {
	server := drain.New(handler)
	serving, drained := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(drained)
		select {
		case <-serving: // no more
		case <-Leaving():
			link, _ := self()
			ctx, cancel := context.WithTimeout(context.Background(), link.drain)
			defer cancel()
			server.Drain(ctx)
		}
	}()
	err := server.Serve(l)
	select {
	case <-Leaving():
		err = nil
	default:
		close(serving)
	}
	<-drained
	return err
}
