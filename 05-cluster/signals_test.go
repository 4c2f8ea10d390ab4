package main

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"playing-with-processes/05-cluster/cluster"
	"playing-with-processes/internal/clitest"
	"playing-with-processes/internal/demo"
)

// SIGUSR2 reloads, SIGTTIN and SIGTTOU scale, and the status shows both.
func TestSignals(t *testing.T) {
	clitest.Each(t, nodeWorker, func(t *testing.T, worker string) {
		p := startWithStatus(t, commandLine(t, worker, "-n", "2", "-status", "127.0.0.1:0"))
		p.awaitListening(2)
		p.signal(syscall.SIGTTIN)
		p.Await(`scale from 2 to 3`)
		p.Await(`worker \d+ listens`)
		p.signal(syscall.SIGUSR2)
		p.Await(`reload: all workers are new`)
		s := p.status()
		require.Equal(t, 3, s.Size)
		require.Equal(t, cluster.ReloadDone, s.Reload.State)
		require.Equal(t, 3, s.Reload.Replaced)
		require.Greater(t, s.Workers[0].ID, 3)
		p.signal(syscall.SIGTTOU)
		p.Await(`scale from 3 to 2`)
		p.signal(syscall.SIGTTOU)
		p.Await(`scale from 2 to 1`)
		p.awaitStatus(func(s cluster.Status) bool { return len(s.Workers) == 1 })
		s = p.status()
		require.Equal(t, s.Workers[0].Pid, clitest.PIDIn(t, p.Get("/")))
		p.Stop()
	})
}

// SIGTTOU does not remove the last worker.
func TestLastWorkerStays(t *testing.T) {
	t.Parallel()
	p := startWithStatus(t, commandLine(t, "", "-n", "1", "-status", "127.0.0.1:0"))
	p.signal(syscall.SIGTTOU)
	p.signal(syscall.SIGTTIN) // is obeyed after it
	p.Await(`scale from 1 to 2`)
	require.NotContains(t, p.Stop(), "to 0")
}

// A reload deploys what is on the disk. If that does not start, the old workers serve on,
// and the exit code says so in the end; a later reload that succeeds makes up for it.
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
	for _, repaired := range []bool{false, true} {
		deploy("echo version 1\n" + serve)
		p := startWithStatus(t, words)
		p.awaitListening(2)
		deploy("echo version 2 is broken >&2\nexit 3\n")
		before := p.answers()
		p.signal(syscall.SIGUSR2)
		p.Await(`reload: stopped; 0 replaced, 2 as before: worker \d+ was never ready \(code 3\): version 2 is broken`)
		require.Contains(t, before, p.Get("/"))
		require.Equal(t, cluster.ReloadFailed, p.status().Reload.State)
		require.Contains(t, p.status().Reload.Error, "version 2 is broken")
		if repaired {
			deploy("echo version 3\n" + serve)
			p.signal(syscall.SIGUSR2)
			p.Await(`version 3`)
			p.Await(`reload: all workers are new`)
			require.NotContains(t, before, p.Get("/"))
			p.Stop()
			continue
		}
		p.signal(syscall.SIGTERM)
		out := p.End()
		require.Equal(t, 1, p.ProcessState.ExitCode())
		require.Regexp(t, `05-cluster: the last reload failed: worker \d+ was never ready \(code 3\): version 2 is broken$`, out)
	}
}

// Only GET / is the status.
func TestStatusElsewhere(t *testing.T) {
	t.Parallel()
	p := startWithStatus(t, commandLine(t, "", "-n", "1", "-status", "127.0.0.1:0"))
	response, err := http.Get(p.url + "/what")
	require.NoError(t, err)
	response.Body.Close()
	require.Equal(t, http.StatusNotFound, response.StatusCode)
	response, err = http.Post(p.url, "", nil)
	require.NoError(t, err)
	response.Body.Close()
	require.Equal(t, http.StatusMethodNotAllowed, response.StatusCode)
	p.Stop()
}

// When nothing reads the output any more, the primary must go on, replace workers, and count the
// lines that are lost.
func TestOutputWithoutReader(t *testing.T) {
	t.Parallel()
	read, write, err := os.Pipe()
	require.NoError(t, err)
	cmd := clitest.Command(t, commandLine(t, "", "-n", "1", "-status", "127.0.0.1:0")...)
	cmd.Stdout, cmd.Stderr = write, write
	require.NoError(t, cmd.Start())
	require.NoError(t, write.Close())
	var url, address string
	for lines := bufio.NewScanner(read); address == "" && lines.Scan(); {
		if _, found, ok := strings.Cut(lines.Text(), "status as JSON: curl "); ok {
			url = "http://" + found
		}
		if _, found, ok := strings.Cut(lines.Text(), " listens on "); ok {
			address = found
		}
	}
	require.NoError(t, read.Close())
	first, err := demo.Get(t.Context(), address, "/")
	require.NoError(t, err)
	demo.Get(t.Context(), address, "/crash")
	clitest.Eventually(t, func() bool {
		answer, err := demo.Get(t.Context(), address, "/")
		return err == nil && answer != first
	})
	response, err := http.Get(url)
	require.NoError(t, err)
	defer response.Body.Close()
	var status struct{ LostLines int }
	require.NoError(t, json.NewDecoder(response.Body).Decode(&status))
	require.Positive(t, status.LostLines)
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	cmd.Wait()
	require.Zero(t, cmd.ProcessState.ExitCode())
}
