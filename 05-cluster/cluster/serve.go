package cluster

import (
	"context"
	"net"
	"net/http"

	"playing-with-processes/internal/drain"
)

// Serve is http.Serve for a worker. When the worker must leave, Serve finishes the requests,
// for as long as the primary's DrainTimeout allows, and returns; then exit. The error is nil,
// or says how many requests were cut off. From then on each answer has Connection: close,
// which sends the client to another worker. Serve closes l.
//
// If l comes from Listen, Serve accepts a connection when its request begins, or when it has been
// silent for some milliseconds: if the worker dies before that, another worker gets the connection.
// Such a connection, as Hijack returns it, is no *net.TCPConn.
func Serve(l net.Listener, handler http.Handler) error {
	primary, _ := self()
	if primary != nil {
		defer primary.beginServing()()
	}
	if own, ok := l.(*listener); ok {
		own.acceptLate()
	}
	server := drain.New(handler)
	served := make(chan struct{})
	var ended error
	go func() {
		defer close(served)
		ended = server.Serve(l)
	}()
	select {
	case <-served:
	case <-Leaving():
	}
	if primary == nil || !primary.leaving() {
		return ended
	}
	ctx, cancel := context.WithTimeout(context.Background(), primary.drainTime)
	defer cancel()
	err := server.Drain(ctx)
	<-served
	return err
}
