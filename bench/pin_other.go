//go:build !linux

package main

import (
	"errors"
	"os/exec"
)

func pinnedOutput(*exec.Cmd) ([]byte, error) {
	return nil, errors.New("only Linux can pin a process to one CPU")
}
