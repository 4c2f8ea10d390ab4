package main

import (
	"context"
	"os/exec"
	"testing"

	"playing-with-processes/05-cluster/cluster"
)

const (
	clusterWorkers = 2
	clusterClients = 32
)

// Each request comes on a new connection, which the primary gives to one of two workers. The
// primary is in this process, for a profile.
func BenchmarkCluster(b *testing.B) {
	for _, policy := range []cluster.Policy{cluster.RoundRobin, cluster.None} {
		b.Run(string(policy), func(b *testing.B) {
			p, s := startCluster(b, policy)
			defer p.Shutdown(context.Background())
			begun := 0
			l, err := newLoad(s.address, "/", false, func() bool { begun++; return begun <= b.N })
			fatal(b, err)
			b.ResetTimer()
			fatal(b, l.run(clusterClients))
			b.StopTimer()
			if l.answered != b.N {
				b.Fatalf("%d of %d requests were answered", l.answered, b.N)
			}
		})
	}
}

// startCluster returns when the workers listen.
func startCluster(b *testing.B, policy cluster.Policy) (*cluster.Primary, *server) {
	b.Helper()
	command := func(int, int) *exec.Cmd { return exec.Command("bin/server") }
	p, err := cluster.SetupPrimary(cluster.Settings{Policy: policy, Command: command})
	fatal(b, err)
	for range clusterWorkers {
		_, err := p.Fork()
		fatal(b, err)
	}
	s := &server{}
	for listening := 0; listening < clusterWorkers; {
		switch e := (<-p.Events()).(type) {
		case cluster.Listening:
			listening++
			s.address = e.Address
		case cluster.Exit:
			b.Fatal(e)
		}
	}
	return p, s
}
