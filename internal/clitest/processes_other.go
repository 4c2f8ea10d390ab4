//go:build !linux

package clitest

import "testing"

// Only Linux can tell which processes a command has left behind.
func adoptOrphans() {}

func requireNoOrphans(*testing.T, string) {}

// Children cannot tell here.
func Children(string) (pids []int, known bool) { return nil, false }
