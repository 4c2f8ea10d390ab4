package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/05-cluster/cluster"
	"playing-with-processes/internal/clitest"
)

// operated is the program as a server with a status.
type operated struct {
	*clitest.Running
	t      *testing.T
	status string // its URL
}

func operating(t *testing.T, words []string) operated {
	t.Helper()
	r := clitest.LaunchCommand(t, clitest.Command(t, words...))
	found := regexp.MustCompile(`status as JSON: curl (\S+)`).FindStringSubmatch(r.Output())
	require.NotNil(t, found)
	return operated{r, t, "http://" + found[1]}
}

// Status is what the program says of itself.
func (o operated) Status() (s cluster.Status) {
	o.t.Helper()
	response, err := http.Get(o.status)
	require.NoError(o.t, err)
	defer response.Body.Close()
	require.Equal(o.t, "application/json", response.Header.Get("Content-Type"))
	require.NoError(o.t, json.NewDecoder(response.Body).Decode(&s))
	return s
}

// await waits until the status is right.
func (o operated) await(right func(cluster.Status) bool) {
	o.t.Helper()
	require.Eventually(o.t, func() bool { return right(o.Status()) }, time.Minute, time.Millisecond)
}

// awaitListening waits until so many workers listen.
func (o operated) awaitListening(n int) {
	o.t.Helper()
	o.await(func(s cluster.Status) bool { return len(s.Ports) == 1 && s.Ports[0].Workers == n })
}

func (o operated) signal(s syscall.Signal) {
	o.t.Helper()
	require.NoError(o.t, o.Process.Signal(s))
}

// answers are what its workers answer.
func (o operated) answers() (answers []string) {
	o.t.Helper()
	for _, w := range o.Status().Workers {
		answers = append(answers, fmt.Sprintf("worker %d", w.Pid))
	}
	return answers
}

// SIGUSR2 reloads, SIGTTIN and SIGTTOU scale, and the status follows.
func TestSignals(t *testing.T) {
	clitest.Each(t, nodeWorker, func(t *testing.T, worker string) {
		o := operating(t, serving(t, worker, "-n", "2", "-status", "127.0.0.1:0"))
		o.awaitListening(2)
		o.signal(syscall.SIGTTIN)
		o.Await(`scale from 2 to 3`)
		o.Await(`worker 3 listens`)
		o.signal(syscall.SIGUSR2)
		o.Await(`reload: all workers are new`)
		s := o.Status()
		require.Equal(t, 3, s.Size)
		require.Equal(t, cluster.ReloadDone, s.Reload.State)
		require.Equal(t, 3, s.Reload.Replaced)
		require.Greater(t, s.Workers[0].ID, 3)
		o.signal(syscall.SIGTTOU)
		o.Await(`scale from 3 to 2`)
		o.signal(syscall.SIGTTOU)
		o.Await(`scale from 2 to 1`)
		o.await(func(s cluster.Status) bool { return len(s.Workers) == 1 })
		s = o.Status()
		require.Equal(t, s.Workers[0].Pid, clitest.PIDIn(t, o.Get("/")))
		o.Stop()
	})
}

// The last worker is not scaled away: whoever wants that ends the primary.
func TestScaleStops(t *testing.T) {
	t.Parallel()
	o := operating(t, serving(t, "", "-n", "1", "-status", "127.0.0.1:0"))
	o.signal(syscall.SIGTTOU)
	o.signal(syscall.SIGTTIN) // is heard after it
	o.Await(`scale from 1 to 2`)
	require.NotContains(t, o.Stop(), "to 0")
}

// What is on the disk is deployed by a reload. If it does not start, what was there serves
// on, and the exit code tells in the end; one that starts puts things right.
func TestDeployment(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "server")
	deploy := func(script string) {
		next := file + ".next"
		require.NoError(t, os.WriteFile(next, []byte("#!/bin/sh\n"+script), 0o755))
		require.NoError(t, os.Rename(next, file))
	}
	serve := `exec "` + clitest.Self(t) + `" "$@"` + "\n"
	words := []string{clitest.Self(t), "-n", "2", "-status", "127.0.0.1:0", "-exec", file, "--", "-addr", "127.0.0.1:0"}
	for _, mended := range []bool{false, true} {
		deploy("echo version 1\n" + serve)
		o := operating(t, words)
		o.awaitListening(2)
		deploy("echo version 2 is broken >&2\nexit 3\n")
		before := o.answers()
		o.signal(syscall.SIGUSR2)
		o.Await(`reload: stopped; 0 replaced, 2 left as before: worker 3 never ready \(code 3\): version 2 is broken`)
		require.Contains(t, before, o.Get("/"))
		require.Equal(t, cluster.ReloadFailed, o.Status().Reload.State)
		require.Contains(t, o.Status().Reload.Error, "version 2 is broken")
		if mended {
			deploy("echo version 3\n" + serve)
			o.signal(syscall.SIGUSR2)
			o.Await(`version 3`)
			o.Await(`reload: all workers are new`)
			require.NotContains(t, before, o.Get("/"))
			o.Stop()
			continue
		}
		o.signal(syscall.SIGTERM)
		out := o.End()
		require.Equal(t, 1, o.ProcessState.ExitCode())
		require.True(t, strings.HasSuffix(out, "05-cluster: the last reload failed: worker 3 never ready (code 3): version 2 is broken"), out)
	}
}

// A reload that the end of all calls off is no failure.
func TestReloadAtTheEnd(t *testing.T) {
	t.Parallel()
	o := operating(t, serving(t, "", "-n", "1", "-status", "127.0.0.1:0"))
	finished := o.Begin("/slow?ms=500")
	o.signal(syscall.SIGUSR2)
	o.Await(`worker 2 listens`)
	o.signal(syscall.SIGTERM)
	require.Regexp(t, `^worker \d+$`, finished())
	o.RequireSuccess()
}

// Where there is no such page there is none.
func TestStatusElsewhere(t *testing.T) {
	t.Parallel()
	o := operating(t, serving(t, "", "-n", "1", "-status", "127.0.0.1:0"))
	response, err := http.Get(o.status + "/what")
	require.NoError(t, err)
	response.Body.Close()
	require.Equal(t, http.StatusNotFound, response.StatusCode)
	response, err = http.Post(o.status, "", nil)
	require.NoError(t, err)
	response.Body.Close()
	require.Equal(t, http.StatusMethodNotAllowed, response.StatusCode)
	o.Stop()
}
