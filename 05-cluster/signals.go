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

	"golang.org/x/sys/unix"

	"playing-with-processes/05-cluster/cluster"
	"playing-with-processes/internal/cli"
)

// control handles signals and, if status is an address, serves the status there, until the
// returned function is called.
func control(p *cluster.Primary, status string) (stop func(), err error) {
	server := statusServer(p)
	if status != "" {
		listener, err := net.Listen("tcp", status)
		if err != nil {
			return nil, fmt.Errorf("-status: %w", err)
		}
		go server.Serve(listener)
		say.Printf("status as JSON: curl %v", listener.Addr())
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGUSR2)
	if hasTerminal() { // which sends these to processes in the background
		signal.Ignore(syscall.SIGTTIN, syscall.SIGTTOU)
	} else {
		signal.Notify(signals, syscall.SIGTTIN, syscall.SIGTTOU)
	}
	go func() {
		for s := range signals {
			handleSignal(p, s)
		}
	}()
	return func() {
		signal.Stop(signals)
		close(signals)
		server.Close()
	}, nil
}

// hasTerminal reports whether this process has a controlling terminal.
func hasTerminal() bool {
	terminal, err := os.Open("/dev/tty")
	if err == nil {
		terminal.Close()
	}
	return err == nil
}

// handleSignal does what a signal asks for; events report the outcome. SIGTTIN and SIGTTOU
// mean the same to gunicorn.
func handleSignal(p *cluster.Primary, s os.Signal) {
	size := p.Size()
	switch {
	case s == syscall.SIGUSR2:
		go p.Reload(context.Background()) // Shutdown ends it
	case s == syscall.SIGTTIN && size < maxWorkers:
		p.Scale(size + 1)
	case s == syscall.SIGTTOU && size > 1:
		p.Scale(size - 1)
	default:
		say.Printf("%s: the number of workers stays %d", unix.SignalName(s.(syscall.Signal)), size)
	}
}

// statusServer returns a server of the status, as JSON.
func statusServer(p *cluster.Primary) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		status := json.NewEncoder(w)
		status.SetIndent("", "  ")
		status.Encode(struct {
			cluster.Status
			LostLines int `json:"lostLines"` // of the primary's output
		}{p.Status(), cli.Stdout.Lost()})
	})
	const timeout = 5 * time.Second
	return &http.Server{Handler: mux, ReadTimeout: timeout, WriteTimeout: timeout}
}

// lastReload returns an error if the last reload failed: the program that runs is not the one
// that was deployed.
func lastReload(p *cluster.Primary) error {
	if r := p.Status().Reload; r != nil && r.State == cluster.ReloadFailed {
		return cli.LastingError("the last reload failed: " + r.Error)
	}
	return nil
}
