package main

import (
	"io"
	"log"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
)

func TestMain(m *testing.M) {
	say = log.New(io.Discard, "", 0) // a count that takes long prints its progress
	clitest.Main(m, main)
}

const name = "01-fork"

// endless is a job that takes longer than any test.
const endless = "1000000000"

// script writes an executable shell script, for -worker, and returns its path.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "worker.sh")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755))
	return path
}

// runLimited tries again if the runtime of the primary itself gets no thread, because
// such a process cannot report its error in one line.
func runLimited(t *testing.T, limit string, args ...string) (got clitest.Result) {
	t.Helper()
	for range 10 {
		got = clitest.RunLimited(t, limit, args...)
		if got.Code == 1 {
			break
		}
	}
	return got
}
