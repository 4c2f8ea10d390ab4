package supervise

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"playing-with-processes/internal/ipc"
)

// lastOutput is how long Done waits for the end of what the process has printed.
const lastOutput = 100 * time.Millisecond

// Process is a forked process that leads a process group of its own. Its methods may be
// called from any goroutine.
//
// Of ipc.Child's methods, Kill signals the process alone, and Wait need not be called: the
// Process calls it.
type Process struct {
	*ipc.Child
	ForkedAt time.Time
	Stderr   *Stderr

	done chan struct{} // closed after its end
	exit ipc.Exit      // valid then
}

// StartProcess forks cmd in a process group of its own, so that the terminal's Ctrl-C reaches
// only the parent; otherwise a worker would end before it has drained. What the process
// prints to its standard error passes through a Stderr, which holds it back if hold is true,
// to cmd.Stderr or, if that is nil, to this process's standard error. All else that cmd says
// is done. cmd belongs to the Process from then on.
//
// The caller must range over Messages, or Disconnect: a process may be unable to exit
// before its messages are read.
func StartProcess(cfg ipc.Config, cmd *exec.Cmd, hold bool) (*Process, error) {
	if err := ownGroup(cmd); err != nil {
		return nil, err
	}
	p := &Process{
		ForkedAt: time.Now(),
		Stderr:   stderrOf(cmd, hold),
		done:     make(chan struct{}),
	}
	child, err := cfg.Fork(cmd)
	if err != nil {
		return nil, err
	}
	p.Child = child
	go p.wait()
	return p, nil
}

// ownGroup makes cmd lead a process group of its own, as the leader of a session does anyway.
func ownGroup(cmd *exec.Cmd) error {
	var attr syscall.SysProcAttr
	if cmd.SysProcAttr != nil {
		attr = *cmd.SysProcAttr
	}
	if attr.Pgid != 0 {
		return errors.New("SysProcAttr.Pgid: a worker leads a process group of its own")
	}
	attr.Setpgid = !attr.Setsid
	cmd.SysProcAttr = &attr
	return nil
}

// stderrOf puts a Stderr in front of the standard error of cmd. If that is the standard output
// as well, it is still used by one goroutine at a time, as os/exec promises.
func stderrOf(cmd *exec.Cmd, hold bool) *Stderr {
	s := &Stderr{out: os.Stderr, held: hold}
	if cmd.Stderr != nil {
		s.out = cmd.Stderr
	}
	if _, file := cmd.Stdout.(*os.File); !file && sameWriter(cmd.Stdout, cmd.Stderr) {
		both := &lockedWriter{w: cmd.Stderr}
		cmd.Stdout, s.out = both, both
	}
	cmd.Stderr = s
	return s
}

func sameWriter(a, b io.Writer) bool {
	defer func() { recover() }() // comparing values of some types panics: they are not the same
	return a != nil && a == b
}

// lockedWriter lets one goroutine at a time write.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// wait waits for the end of the process, and kills the rest of its group: a process that it
// has started may have the port. It ignores the error of Wait, which only says that such a
// process still held the standard error.
func (p *Process) wait() {
	p.exit, _ = p.Wait()
	p.Signal(syscall.SIGKILL)
	select {
	case <-p.Stderr.flushed(): // what it printed comes before the news of its end
	case <-time.After(lastOutput):
	}
	close(p.done)
}

// Done is closed when the process has ended and been waited for, and the rest of its group
// has been killed.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exit returns how the process ended. It is valid once Done is closed.
func (p *Process) Exit() ipc.Exit { return p.exit }

// LastError returns the line in which a process that exited with an error said what went
// wrong, or "". It is valid once Done is closed.
func (p *Process) LastError() string {
	if line, ok := p.Stderr.ErrorLine(); ok && p.exit.Signal == 0 && p.exit.Code != 0 {
		return line
	}
	return ""
}

// Signal signals the process and what it has started. The id of its group is its pid, which
// the kernel does not reuse while the group has a member. (It may be empty for a moment before
// Done; the kernel does not come round to the same id so soon.) After Done, Signal does nothing.
func (p *Process) Signal(sig syscall.Signal) {
	if !isClosed(p.done) {
		syscall.Kill(-p.Pid(), sig)
	}
}
