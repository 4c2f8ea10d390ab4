package main

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
)

// The workers end with their primary, whatever ends it.
func TestSoakEndWithPrimary(t *testing.T) { clitest.RequireEndWithSignal(t, nodeWorker, startTwo) }

func TestEndWithPrimary(t *testing.T) {
	t.Parallel()
	clitest.RequireEndWhileBusy(t, nodeWorker, startTwo)
	clitest.RequireEndWithInterrupt(t, nodeWorker, startTwo)
	t.Run("SIGTERM to all", func(t *testing.T) { // it would end a Node worker, which does not handle it
		t.Parallel()
		clitest.RequireEndWithAll(t, "", startTwo)
	})
}

// A reload that a shutdown cancels is no failure.
func TestReloadAtShutdown(t *testing.T) {
	t.Parallel()
	p := startWithStatus(t, commandLine(t, "", "-n", "1", "-status", "127.0.0.1:0"))
	finished := p.Begin("/slow?ms=500")
	p.signal(syscall.SIGUSR2)
	p.Await(`reload: one worker at a time`)
	p.Await(`worker \d+ listens`)
	p.signal(syscall.SIGTERM)
	require.Regexp(t, `^worker \d+$`, finished())
	p.RequireSuccess()
}
