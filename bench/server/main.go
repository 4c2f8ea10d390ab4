// Command server is what the measurements of the cluster measure: WORKERS processes that answer
// hello, or their pid at /pid. It prints its address when all of them listen, and ends with its
// standard input. With a command as its arguments, the workers run that.
//
// Usage: server [-policy rr|none|reuseport|single] [-pending N] [-eager] [command]
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"time"

	"playing-with-processes/05-cluster/cluster"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

func run() error {
	policy := flag.String("policy", string(cluster.RoundRobin), "how connections get to the workers")
	pending := flag.Int("pending", 0, "connections that a worker may have and not have accepted")
	eager := flag.Bool("eager", false, "accept connections as fast as net/http does")
	flag.Parse()
	workers, err := strconv.Atoi(cmp.Or(os.Getenv("WORKERS"), "2"))
	switch {
	case err != nil:
		return err
	case !cluster.IsPrimary():
		return work(*eager)
	case *policy == "single":
		return single()
	case *policy == "reuseport":
		return reusePort(workers)
	}
	settings := cluster.Settings{
		Policy:     cluster.Policy(*policy),
		MaxPending: *pending,
		Restart:    oftenKilled(workers),
	}
	return primary(settings, workers, flag.Args())
}

// primary starts the workers, and replaces those that are killed.
func primary(settings cluster.Settings, workers int, command []string) error {
	if len(command) > 0 {
		settings.Command = func(int, int) *exec.Cmd { return exec.Command(command[0], command[1:]...) }
	}
	p, err := cluster.SetupPrimary(settings)
	if err != nil {
		return err
	}
	defer p.Shutdown(context.Background())
	for range workers {
		if _, err := p.Fork(); err != nil {
			return err
		}
	}
	address, err := listening(p, workers)
	if err != nil {
		return err
	}
	fmt.Println(address)
	go func() {
		for range p.Events() {
		}
	}()
	untilInputEnds()
	return nil
}

// oftenKilled returns the policy for workers that are stable soon, and killed again and again.
func oftenKilled(workers int) *cluster.RestartPolicy {
	policy := cluster.DefaultRestartPolicy(workers)
	policy.StableAfter = 50 * time.Millisecond
	policy.Restarts = 1000
	return &policy
}

// listening returns the address when all workers listen.
func listening(p *cluster.Primary, workers int) (address string, err error) {
	for n := 0; n < workers; {
		switch e := (<-p.Events()).(type) {
		case cluster.Listening:
			n++
			address = e.Address
		case cluster.Exit:
			return "", fmt.Errorf("%v", e)
		}
	}
	return address, nil
}

// work is a worker.
func work(eager bool) error {
	listener, err := cluster.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if eager {
		err := http.Serve(listener, http.HandlerFunc(answer))
		if errors.Is(err, net.ErrClosed) { // it must leave
			return nil
		}
		return err
	}
	return cluster.Serve(listener, http.HandlerFunc(answer))
}

// single is the server without a cluster.
func single() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	serveAlone(listener)
	return nil
}

// serveAlone answers without a primary.
func serveAlone(listener net.Listener) {
	go http.Serve(listener, http.HandlerFunc(answer))
	fmt.Println(listener.Addr())
	untilInputEnds()
}

func answer(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/pid" {
		fmt.Fprintln(w, os.Getpid())
		return
	}
	io.WriteString(w, "hello\n")
}

func untilInputEnds() { io.Copy(io.Discard, os.Stdin) }
