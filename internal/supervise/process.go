// Package supervise starts worker processes so that none of them, and nothing that
// they start, outlives its end or escapes it.
//
// Read on in ladder.go, which is how a worker is made to leave, and in voice.go,
// which is what it says to people; memory.go tells what it takes.
package supervise

import (
	"os"
	"os/exec"
	"syscall"
	"time"

	"playing-with-processes/internal/ipc"
)

// lastWords is how long the news of a worker's end waits for what it had said.
const lastWords = 100 * time.Millisecond

// Process is a forked worker, in a process group of its own. Its methods may be
// called from any goroutine.
//
// Of what ipc.Child has, Kill signals the worker alone, and Wait need not be called:
// the Process does so itself.
type Process struct {
	*ipc.Child
	Started time.Time // when it was forked
	Voice   *Voice    // its standard error

	gone chan struct{} // closed after its end
	exit ipc.Exit      // after its end
}

// Start forks cmd in a process group of its own, so that the terminal's Ctrl-C
// reaches only the parent: the worker would end before it has drained. It has no
// standard input, and its standard error is the Voice, which only remembers, if held,
// until it is released. cmd belongs to the Process from then on; its Stdin, Stderr and
// SysProcAttr are overwritten.
//
// The caller must range over Messages, or Disconnect: a worker that waits for its
// messages to be read does not exit.
func Start(cfg ipc.Config, cmd *exec.Cmd, held bool) (*Process, error) {
	p := &Process{
		Started: time.Now(),
		Voice:   &Voice{out: os.Stderr, held: held},
		gone:    make(chan struct{}),
	}
	cmd.Stdin, cmd.Stderr = nil, p.Voice
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	child, err := cfg.Fork(cmd)
	if err != nil {
		return nil, err
	}
	p.Child = child
	go p.wait()
	return p, nil
}

// wait waits for the worker's end, and ends what it has left behind: a process that
// it has started may have the port. The error, if any, is that such a one still held
// its standard error.
func (p *Process) wait() {
	p.exit, _ = p.Wait()
	p.Signal(syscall.SIGKILL)
	select {
	case <-p.Voice.said(): // its last words come before the news of its end
	case <-time.After(lastWords):
	}
	close(p.gone)
}

// Gone is closed when the worker has been waited for, and what it left in its group
// has been killed.
func (p *Process) Gone() <-chan struct{} { return p.gone }

// Exit says how the worker ended. It is valid once Gone is closed.
func (p *Process) Exit() ipc.Exit { return p.exit }

// Complaint is what the worker has said of the error that it exited with, in one line, or
// "". It is valid once Gone is closed.
func (p *Process) Complaint() string {
	if line, ok := p.Voice.Gist(); ok && p.exit.Signal == 0 && p.exit.Code != 0 {
		return line
	}
	return ""
}

// Signal signals the worker and what it has started. Its process group has its pid,
// which nobody else gets while there is somebody in the group. After Gone it does
// nothing.
func (p *Process) Signal(sig syscall.Signal) {
	select {
	case <-p.gone:
	default:
		syscall.Kill(-p.Pid(), sig)
	}
}
