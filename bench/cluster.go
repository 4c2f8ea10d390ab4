package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"playing-with-processes/05-cluster/cluster"
)

const (
	clusterWorkers = 2
	clusterClients = 32
)

// clusterRoundRobin is the requests a second, each on a new connection, that two workers
// answer under the policy rr. The clients are a process of their own.
func clusterRoundRobin() (float64, error) {
	p, err := cluster.SetupPrimary(cluster.Settings{Policy: cluster.RoundRobin})
	if err != nil {
		return 0, err
	}
	defer p.Shutdown(context.Background())
	for range clusterWorkers {
		if _, err := p.Fork(); err != nil {
			return 0, err
		}
	}
	address := ""
	for listening := 0; listening < clusterWorkers; {
		switch e := (<-p.Events()).(type) {
		case cluster.Listening:
			listening++
			address = e.Address
		case cluster.Exit:
			return 0, fmt.Errorf("%v", e)
		}
	}
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	output, err := exec.Command(self, "load", address).Output()
	if err != nil {
		return 0, fmt.Errorf("load: %w", err)
	}
	return strconv.ParseFloat(strings.TrimSpace(string(output)), 64)
}

// serve is a worker of the cluster.
func serve() error {
	listener, err := cluster.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	return cluster.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "hello\n")
	}))
}

// load prints the requests a second that the server at an address answers: bench load
// ADDRESS.
func load() error {
	address := os.Args[2]
	var answered, failed atomic.Int64
	start := time.Now()
	var clients sync.WaitGroup
	for range clusterClients {
		clients.Go(func() {
			for time.Since(start) < 2*measureFor {
				if err := request(address); err != nil {
					failed.Add(1)
				} else {
					answered.Add(1)
				}
			}
		})
	}
	clients.Wait()
	if n := failed.Load(); n > 0 {
		return fmt.Errorf("%d requests failed", n)
	}
	fmt.Println(float64(answered.Load()) / time.Since(start).Seconds())
	return nil
}

func request(address string) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"); err != nil {
		return err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err
}
