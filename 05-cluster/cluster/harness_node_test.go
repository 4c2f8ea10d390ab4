package cluster

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"playing-with-processes/internal/clitest"
	"playing-with-processes/internal/ipc"
)

// startNodeWorkers is startPrimary for Node workers that run a program of testdata.
func startNodeWorkers(t *testing.T, s Settings, words ...string) *harness {
	t.Helper()
	return startPrimary(t, s, slices.Concat([]string{"node"}, words)...)
}

// startTraced is startNodeWorkers with the lines on the channels. They can be awaited
// like the workers' output, and trace returns all of them.
func startTraced(t *testing.T, s Settings, words ...string) (h *harness, trace func() string) {
	t.Helper()
	var mu sync.Mutex
	var all strings.Builder
	s.Trace = func(_ int, e ipc.Event) {
		if e.Line == nil {
			return
		}
		what := e.What
		if e.FD >= 0 {
			what += "*"
		}
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(io.MultiWriter(&all, h), "%s %s\n", what, e.Line)
	}
	h = startNodeWorkers(t, s, words...)
	return h, func() string {
		mu.Lock()
		defer mu.Unlock()
		return all.String()
	}
}

// nodeCluster is a cluster of Node workers, with Node's primary or with ours.
type nodeCluster struct {
	*harness
	leave func() // asks all workers to leave
	stop  func() // ends the primary
}

// endWorker makes the worker that listens now end.
func (c *nodeCluster) endWorker(how string) Exit {
	c.t.Helper()
	conn := dial(c.t, "tcp", anyListening(c.harness))
	_, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", how)
	require.NoError(c.t, err)
	require.Equal(c.t, "bye", body(c.t, conn))
	return await(c.harness, func(Exit) bool { return true })
}

// startOwnCluster starts a cluster with our primary.
func startOwnCluster(t *testing.T, policy Policy, n int, words ...string) *nodeCluster {
	t.Helper()
	h := startNodeWorkers(t, Settings{Policy: policy, Restart: restartAtOnce()}, words...)
	for range n {
		_, err := h.Fork()
		require.NoError(t, err)
	}
	return &nodeCluster{
		harness: h,
		leave:   func() { require.NoError(t, h.Shutdown(t.Context())) },
		stop:    func() { shutdownNow(h) },
	}
}

// shutdownNow ends a primary and kills its workers: a server that the primary does not
// know keeps its worker running.
func shutdownNow(h *harness) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	h.Shutdown(ctx)
}

// startNodeCluster starts a cluster with Node's primary.
func startNodeCluster(t *testing.T, policy Policy, n int, words ...string) *nodeCluster {
	t.Helper()
	cmd := clitest.Command(t, slices.Concat([]string{"node", "testdata/primary.js", strconv.Itoa(n)}, words)...)
	cmd.Env = append(cmd.Env, "NODE_CLUSTER_SCHED_POLICY="+string(policy))
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	h := &harness{t: t}
	h.changed.L = &h.mu
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			event, ok := strings.CutPrefix(lines.Text(), "event ")
			if !ok {
				fmt.Fprintln(h, lines.Text())
				continue
			}
			h.receive(eventOf(event))
		}
		cmd.Wait()
		h.close()
	}()
	return &nodeCluster{
		harness: h,
		leave:   func() { cmd.Process.Signal(syscall.SIGTERM) },
		stop: func() {
			cmd.Process.Kill() // the workers end with it
			<-ended
		},
	}
}

// eventOf converts an event of Node's primary.
func eventOf(line string) Event {
	var e struct {
		What                  string
		Address               *string
		Port                  *int
		ExitedAfterDisconnect bool
		Code                  int
		Signal                string
	}
	if err := json.Unmarshal([]byte(line), &e); err != nil {
		return Failed{Err: err}
	}
	if e.What == "listening" {
		return Listening{Address: query{Address: e.Address, Port: e.Port}.String()}
	}
	return Exit{
		Exit:            ipc.Exit{Code: e.Code, Signal: unix.SignalNum(e.Signal)},
		AfterDisconnect: e.ExitedAfterDisconnect,
	}
}

// observer returns output and events of a cluster, in a normal form, or nil if they cannot be
// compared.
type observer func(*nodeCluster) []string

// requireSame runs a program of testdata in n workers, under Node's primary and under
// ours, and requires that observe returns the same.
func requireSame(t *testing.T, n int, prepare func(t *testing.T) (words []string, observe observer)) {
	eachNodePolicy(t, func(t *testing.T, policy Policy) {
		run := func(start func(*testing.T, Policy, int, ...string) *nodeCluster) (observed []string) {
			for observed == nil {
				words, observe := prepare(t)
				c := start(t, policy, n, words...)
				observed = observe(c)
				c.stop() // both primaries use the same ports
			}
			return observed
		}
		require.Empty(t, cmp.Diff(run(startNodeCluster), run(startOwnCluster)))
	})
}

// observeServers returns an observer of servers that print where they listen, or why not:
// of this number of lines, and of the events. The primary does not know some of the
// servers.
func observeServers(lines, unknown int) observer {
	return func(c *nodeCluster) (observed []string) {
		known := -unknown
		for range lines {
			line := c.awaitLine(`(\d+ (?:address|error) .*)`)
			observed = append(observed, line)
			if !strings.Contains(line, " error ") {
				known++
			}
		}
		for range known {
			observed = append(observed, "listening "+anyListening(c.harness))
		}
		return normalize(observed)
	}
}

// anyListening waits until a server listens, in any worker, and returns its address.
func anyListening(h *harness) string {
	h.t.Helper()
	return await(h, func(Listening) bool { return true }).Address
}

var (
	somePort = regexp.MustCompile(`\b\d{5}\b`)
	ipFamily = regexp.MustCompile(`"family":"\w+"`)
	testDir  = regexp.MustCompile(`/\S+/\d{3}\b`) // a directory of the test
)

// normalize sorts the lines, and replaces what is different each time. A port gets a name
// from the first server that has it, so the same ports have the same names. If a server over IPv4
// and another one over IPv6 happen to have the same port, normalize returns nil.
func normalize(lines []string) []string {
	slices.Sort(lines)
	ports, names, families := map[string]string{}, map[string]int{}, map[string]string{}
	for i, line := range lines {
		if port, family := somePort.FindString(line), ipFamily.FindString(line); family != "" {
			if families[port] != "" && families[port] != family {
				return nil
			}
			families[port] = family
		}
		line = testDir.ReplaceAllString(line, "DIR")
		lines[i] = somePort.ReplaceAllStringFunc(line, func(port string) string {
			if ports[port] == "" {
				server, _, _ := strings.Cut(line, " ")
				ports[port] = fmt.Sprintf("PORT%s-%d", server, names[server])
				names[server]++
			}
			return ports[port]
		})
	}
	slices.Sort(lines)
	return lines
}

// script returns the command line of a program of testdata that has options.
func script(name string, options []map[string]any) []string {
	words := []string{"testdata/" + name}
	for _, o := range options {
		text, _ := json.Marshal(o)
		words = append(words, string(text))
	}
	return words
}

// requireSilent requires that a worker has ended without an error message.
func requireSilent(t *testing.T, w *Worker) {
	t.Helper()
	line, ok := w.process.Stderr.ErrorLine()
	require.False(t, ok, line)
}

// portOf returns the port of an address that Node has printed.
func portOf(t *testing.T, printed string) string {
	t.Helper()
	var address struct{ Port int }
	require.NoError(t, json.Unmarshal([]byte(printed), &address))
	return strconv.Itoa(address.Port)
}
