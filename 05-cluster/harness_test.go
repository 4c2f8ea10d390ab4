package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"playing-with-processes/05-cluster/cluster"
	"playing-with-processes/internal/clitest"
)

const (
	name       = "05-cluster"
	nodeWorker = "node/worker.js"
)

func TestMain(m *testing.M) { clitest.Main(m, main) }

// commandLine returns the command line of a primary on any free port. worker is what its
// workers run, or "" for this program.
func commandLine(t *testing.T, worker string, flags ...string) []string {
	t.Helper()
	words := append([]string{clitest.Self(t), "-ready", clitest.Never.String(), "-accept", clitest.Never.String()}, flags...)
	if worker == "" {
		return append(words, "-addr", "127.0.0.1:0")
	}
	return append(words, "-exec", worker, "--", "-addr", "127.0.0.1:0")
}

// startTwo starts a primary with two workers, and waits until both have answered.
func startTwo(t *testing.T, worker string, s clitest.Server) (r *clitest.Running, pids []int) {
	t.Helper()
	cmd := clitest.Command(t, commandLine(t, worker, append([]string{"-n", "2"}, s.Flags...)...)...)
	cmd.Env, cmd.SysProcAttr = append(cmd.Env, s.Env...), s.Attr
	r = clitest.LaunchCommand(t, cmd)
	for answers := map[string]bool{}; len(answers) < 2; {
		answer := r.Get("/")
		if !answers[answer] {
			answers[answer] = true
			pids = append(pids, clitest.PIDIn(t, answer))
		}
	}
	return r, pids
}

// withStatus is a primary that serves its status.
type withStatus struct {
	*clitest.Running
	t   *testing.T
	url string // of the status
}

// startWithStatus starts a primary with this command line, which must have -status.
func startWithStatus(t *testing.T, words []string) withStatus {
	t.Helper()
	r := clitest.LaunchCommand(t, clitest.Command(t, words...))
	found := regexp.MustCompile(`status as JSON: curl (\S+)`).FindStringSubmatch(r.Output())
	require.NotNil(t, found)
	return withStatus{r, t, "http://" + found[1]}
}

// status returns the status.
func (p withStatus) status() (s cluster.Status) {
	p.t.Helper()
	response, err := http.Get(p.url)
	require.NoError(p.t, err)
	defer response.Body.Close()
	require.Equal(p.t, "application/json", response.Header.Get("Content-Type"))
	require.NoError(p.t, json.NewDecoder(response.Body).Decode(&s))
	return s
}

// awaitStatus waits until the status is the wanted one.
func (p withStatus) awaitStatus(wanted func(cluster.Status) bool) {
	p.t.Helper()
	clitest.Eventually(p.t, func() bool { return wanted(p.status()) })
}

// awaitListening waits until n workers listen.
func (p withStatus) awaitListening(n int) {
	p.t.Helper()
	p.awaitStatus(func(s cluster.Status) bool { return len(s.Ports) == 1 && s.Ports[0].Workers == n })
}

// signal sends the primary a signal.
func (p withStatus) signal(s syscall.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.Process.Signal(s))
}

// answers returns what the workers answer.
func (p withStatus) answers() (answers []string) {
	p.t.Helper()
	for _, w := range p.status().Workers {
		answers = append(answers, fmt.Sprintf("worker %d", w.Pid))
	}
	return answers
}
