package main

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
	"playing-with-processes/internal/demo"
)

// Go and Node are each the primary of both, under both policies. A worker that crashes or
// is killed is replaced, and a request that is being served at shutdown gets its answer.
func TestGoAndNode(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{"rr", "none"} {
		for pair, words := range map[string][]string{
			"Go, Go":     commandLine(t, "", "-n", "1"),
			"Go, Node":   commandLine(t, nodeWorker, "-n", "1"),
			"Node, Go":   {"node", "node/primary.js", "0", "1", clitest.Self(t)},
			"Node, Node": {"node", "node/primary.js", "0", "1"},
		} {
			t.Run(pair+", "+policy, func(t *testing.T) {
				if strings.Contains(pair, "Node") {
					clitest.NeedNode(t)
				}
				t.Parallel()
				testReplaced(t, policy, words)
			})
		}
	}
}

func testReplaced(t *testing.T, policy string, words []string) {
	cmd := clitest.Command(t, words...)
	cmd.Env = append(cmd.Env, "NODE_CLUSTER_SCHED_POLICY="+policy)
	r := clitest.LaunchCommand(t, cmd)
	awaitServing := func() { // on a new port: Node's primary has closed the old one
		line := r.Await(`serving on http://`)
		r.Address = line[strings.Index(line, "//")+2:]
	}
	first := r.Get("/")

	_, err := demo.Get(t.Context(), r.Address, "/crash")
	require.Error(t, err)
	r.Await(`worker \d+ (crashed|failed) \(code [12]\)`)
	awaitServing()
	second := r.Get("/")
	require.NotEqual(t, first, second)

	require.NoError(t, syscall.Kill(clitest.PIDIn(t, second), syscall.SIGKILL))
	r.Await(`worker \d+ (was killed|failed) \(signal (killed|SIGKILL)\)`)
	awaitServing()

	finished := r.Begin("/slow?ms=700")
	require.NoError(t, r.Process.Signal(syscall.SIGTERM))
	require.Regexp(t, `^worker \d+$`, finished())
	r.Await(`worker \d+ has left \(code 0\)`)
	r.RequireSuccess()
}

// A worker that gets SIGTERM by itself leaves: it finishes its requests, and is replaced.
func TestWorkerLeaves(t *testing.T) {
	t.Parallel()
	r := clitest.Launch(t, commandLine(t, "", "-n", "1")...)
	worker := clitest.PIDIn(t, r.Get("/"))
	finished := r.Begin("/slow?ms=300")
	require.NoError(t, syscall.Kill(worker, syscall.SIGTERM))
	require.Equal(t, fmt.Sprint("worker ", worker), finished())
	for r.AwaitPID("listens") == worker { // its own line may come before or after its address
	}
	r.Stop()
}
