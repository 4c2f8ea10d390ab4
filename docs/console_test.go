package docs

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
)

// varies is the marker of a console whose figures differ from run to run.
const varies = "<!-- figures vary -->"

// session runs the commands of a console, in the repository.
type session struct {
	t       *testing.T
	dir     string // with the programs; also the page's /tmp
	shown   []string
	servers []*exec.Cmd

	mu      sync.Mutex
	printed []byte
	news    chan struct{} // more is printed
}

// otherProgram is a program that a command may need and that Go does not bring along.
var otherProgram = regexp.MustCompile(`(?i)\b(node|python3|curl)\b`)

// serverCommand is the beginning of a command that serves until it is stopped.
var serverCommand = regexp.MustCompile(`^go run \./0[45]-\S+`)

func serves(command string) bool {
	return serverCommand.MatchString(command) && !strings.Contains(command, "-demo")
}

// runConsole returns where the commands of a console print something else than the page shows,
// or "", and what they print. If one fails, that is nil.
func runConsole(t *testing.T, dir string, f fence) (difference string, printed []string) {
	for _, program := range otherProgram.FindAllString(f.code, -1) {
		clitest.Need(t, strings.ToLower(program))
	}
	s := &session{t: t, dir: dir, news: make(chan struct{}, 1)}
	defer s.stop()
	c := comparison{varies: f.marker == varies}
	for _, part := range strings.Split("\n"+f.code, "\n$ ")[1:] {
		command, shown, _ := strings.Cut(part, "\n")
		if shown != "" {
			s.shown = append(s.shown, strings.Split(strings.TrimSuffix(shown, "\n"), "\n")...)
		}
		ok := s.run(renumber(command, c.real))
		if printed = s.lines(); !ok {
			printed = nil
		}
		if difference = s.await(&c); difference != "" {
			return "$ " + command + ": " + difference, printed
		}
	}
	return "", printed
}

// run runs a command to its end, or starts a server on a free port. It reports success.
func (s *session) run(command string) bool {
	command, _, _ = strings.Cut(command, "  # ")
	goesOn := serves(command)
	if goesOn {
		command = serverCommand.ReplaceAllString(command, "$0 -addr 127.0.0.1:0")
	}
	command = strings.ReplaceAll(command, "/tmp/", s.dir+"/")
	cmd := clitest.Command(s.t, "bash", "-c", "exec 2>&1; "+command)
	cmd.Dir, cmd.Stdout = root, s
	cmd.Env = append(cmd.Env, "PATH="+s.dir+":"+os.Getenv("PATH"),
		"no_proxy=127.0.0.1", // for curl
		"PLAY_MAIN=")         // a command may be go test
	require.NoError(s.t, cmd.Start())
	if goesOn {
		s.servers = append(s.servers, cmd)
		return true
	}
	return cmd.Wait() == nil
}

// Write takes what the commands print.
func (s *session) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.printed = append(s.printed, p...)
	select {
	case s.news <- struct{}{}:
	default:
	}
	return len(p), nil
}

// lines returns the whole lines printed so far.
func (s *session) lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	whole := s.printed[:bytes.LastIndexByte(s.printed, '\n')+1]
	return strings.Split(strings.TrimSuffix(string(whole), "\n"), "\n")
}

// await waits until the servers, if any, have printed what the page shows so far. It gives up when
// the next line of the page does not come for a minute, or more on a busy machine.
func (s *session) await(c *comparison) (difference string) {
	c.complete = len(s.servers) == 0
	if difference = c.compare(s.shown, s.lines()); difference == "" || c.complete {
		return difference
	}
	enough := max(time.Minute, clitest.Enough(s.t, 5000))
	for begun := time.Now(); difference != "" && time.Since(begun) < enough; {
		select {
		case <-s.news:
		case <-time.After(enough):
		}
		before := difference
		if difference = c.compare(s.shown, s.lines()); difference != before {
			begun = time.Now()
		}
	}
	return difference
}

// stop stops the servers.
func (s *session) stop() {
	for _, cmd := range s.servers {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	}
}

// buildPrograms builds the chapters' programs into dir, and a command go that runs them.
func buildPrograms(root, dir string) error {
	goTool, err := exec.LookPath("go")
	if err != nil {
		return err
	}
	build := exec.Command(goTool, "build", "-o", dir, "./0...")
	build.Dir, build.Stderr = root, os.Stderr
	if err := build.Run(); err != nil {
		return err
	}
	script := `[ "$1" = run ] || exec ` + goTool + ` "$@"; program=$2; shift 2; exec ` + dir + `/$program "$@"`
	return os.WriteFile(filepath.Join(dir, "go"), []byte("#!/bin/sh\n"+script+"\n"), 0o700)
}
