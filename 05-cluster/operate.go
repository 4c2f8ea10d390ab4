package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"playing-with-processes/05-cluster/cluster"
	"playing-with-processes/internal/program"
)

// operate does what signals say, and answers with the Status on an address, if there is
// one, until the function that it returns is called.
func operate(p *cluster.Primary, status string) (stop func(), err error) {
	closeStatus := func() error { return nil }
	if status != "" {
		if closeStatus, err = serveStatus(p, status); err != nil {
			return nil, err
		}
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGUSR2, syscall.SIGTTIN, syscall.SIGTTOU)
	go func() {
		for s := range signals {
			obey(p, s)
		}
	}()
	return func() {
		signal.Stop(signals)
		close(signals)
		closeStatus()
	}, nil
}

// obey does what one signal says. SIGTTIN and SIGTTOU mean the same to gunicorn. How it
// goes is told by events.
func obey(p *cluster.Primary, s os.Signal) {
	size := p.Size()
	switch {
	case s == syscall.SIGUSR2:
		go p.Reload(context.Background()) // until Shutdown
	case s == syscall.SIGTTIN && size < maxWorkers:
		p.Scale(size + 1)
	case s == syscall.SIGTTOU && size > 1:
		p.Scale(size - 1)
	}
}

func serveStatus(p *cluster.Primary, address string) (stop func() error, err error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("-status: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		status := json.NewEncoder(w)
		status.SetIndent("", "  ")
		status.Encode(p.Status())
	})
	const enough = 5 * time.Second
	server := &http.Server{Handler: mux, ReadTimeout: enough, WriteTimeout: enough}
	go server.Serve(listener)
	say.Printf("status as JSON: curl %v", listener.Addr())
	return server.Close, nil
}

// lastReload is an error if the last reload failed: what runs is not what was to be
// deployed.
func lastReload(p *cluster.Primary) error {
	if r := p.Status().Reload; r != nil && r.State == cluster.ReloadFailed {
		return program.Failure("the last reload failed: " + r.Error)
	}
	return nil
}
