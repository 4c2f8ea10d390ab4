package bench

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
	"sync"
	"sync/atomic"
	"testing"

	"playing-with-processes/05-cluster/cluster"
)

const (
	clusterWorkers = 2
	clusterClients = 32
)

// Each request comes on a new connection, which the primary gives to one of two workers. The
// clients are a process of their own.
func BenchmarkCluster(b *testing.B) {
	for _, policy := range []cluster.Policy{cluster.RoundRobin, cluster.None} {
		b.Run(string(policy), func(b *testing.B) {
			p, address := startCluster(b, policy)
			defer p.Shutdown(context.Background())
			self, err := os.Executable()
			fatal(b, err)
			b.ResetTimer()
			output, err := exec.Command(self, "load", address, strconv.Itoa(b.N)).CombinedOutput()
			b.StopTimer()
			if err != nil {
				b.Fatalf("load: %v: %s", err, output)
			}
		})
	}
}

// startCluster returns when the workers listen.
func startCluster(b *testing.B, policy cluster.Policy) (p *cluster.Primary, address string) {
	b.Helper()
	p, err := cluster.SetupPrimary(cluster.Settings{Policy: policy})
	fatal(b, err)
	for range clusterWorkers {
		_, err := p.Fork()
		fatal(b, err)
	}
	for listening := 0; listening < clusterWorkers; {
		switch e := (<-p.Events()).(type) {
		case cluster.Listening:
			listening++
			address = e.Address
		case cluster.Exit:
			b.Fatal(e)
		}
	}
	return p, address
}

// serve is a worker.
func serve() error {
	listener, err := cluster.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	return cluster.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "hello\n")
	}))
}

// load makes a number of requests: load ADDRESS NUMBER.
func load() error {
	address := os.Args[2]
	n, err := strconv.ParseInt(os.Args[3], 10, 64)
	if err != nil {
		return err
	}
	var begun, failed atomic.Int64
	var clients sync.WaitGroup
	for range clusterClients {
		clients.Go(func() {
			for begun.Add(1) <= n {
				if request(address) != nil {
					failed.Add(1)
				}
			}
		})
	}
	clients.Wait()
	if failed.Load() > 0 {
		return fmt.Errorf("%d of %d requests failed", failed.Load(), n)
	}
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
