package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// server is a process with workers, such as program server or node/cluster.js. Its standard
// input is open as long as this process, and with its end it ends.
type server struct {
	cmd     *exec.Cmd
	input   io.Closer
	address string
}

// startServer returns when the workers listen.
func startServer(command []string, workers int) (*server, error) {
	if len(command) == 0 {
		return nil, fmt.Errorf("the command of the server is missing")
	}
	s := &server{cmd: exec.Command(command[0], command[1:]...)}
	s.cmd.Env = append(os.Environ(), fmt.Sprintf("WORKERS=%d", workers))
	s.cmd.Stderr = os.Stderr
	input, err := s.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	s.input = input
	output, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	if s.address, err = bufio.NewReader(output).ReadString('\n'); err != nil {
		s.stop()
		return nil, fmt.Errorf("%v did not listen: %w", command, err)
	}
	s.address = strings.TrimSpace(s.address)
	return s, nil
}

func (s *server) stop() {
	s.input.Close()
	s.cmd.Wait()
}

// workers returns the pids of the server's children.
func (s *server) workers() (pids []int) {
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err == nil && parentOf(pid) == s.cmd.Process.Pid {
			pids = append(pids, pid)
		}
	}
	return pids
}

// parentOf returns the pid of a process's parent, or 0 if the process has ended.
func parentOf(pid int) (parent int) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	// The name of the program, in parentheses, may itself have parentheses and blanks.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 2 || fields[0] == "Z" {
		return 0
	}
	parent, _ = strconv.Atoi(fields[1])
	return parent
}
