package ipc

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// The two variables by which a Node parent announces the channel to its child.
const (
	channelFD         = "NODE_CHANNEL_FD"
	serializationMode = "NODE_CHANNEL_SERIALIZATION_MODE"
)

// outputDelay is how long Wait goes on copying the output of a child that has exited,
// while a grandchild holds the pipe open.
const outputDelay = time.Second

// Child is a process at the other end of a channel.
type Child struct {
	*Channel
	cmd  *exec.Cmd
	wait func() (Exit, error)
}

// Exit is how a process ended: with a code or by a signal, as in Node's 'exit' event.
type Exit struct {
	Code   int            // valid if Signal is 0
	Signal syscall.Signal // the signal that killed the process, or 0
}

func (e Exit) String() string {
	if e.Signal != 0 {
		return "signal " + e.Signal.String()
	}
	return fmt.Sprintf("code %d", e.Code)
}

// ExitOf returns the Exit of a process that has ended.
func ExitOf(state *os.ProcessState) Exit {
	exit := Exit{Code: state.ExitCode()}
	if status := state.Sys().(syscall.WaitStatus); status.Signaled() {
		exit.Signal = status.Signal()
	}
	return exit
}

// Self returns the command that starts this program again with other arguments, on the
// same standard streams: Node's fork('./sub.js') is Fork(Self("sub")). It starts a new
// process; fork(2) would copy this one, which a Go program cannot do, since the copy
// would have only one of its threads.
//
// The name of the program is the one that this process was started by. If a symbolic link
// in it has been switched to another release since, Self starts that release.
func Self(args ...string) *exec.Cmd {
	cmd := exec.Command(self.path, args...)
	cmd.Err = self.err
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd
}

// self is the path of this program, found while the working directory and PATH are those of
// the start.
var self = findSelf()

type selfPath struct {
	path string
	err  error
}

// findSelf prefers the name that the program was called by to os.Executable, in which
// symbolic links are resolved, if that is the name of this very file.
func findSelf() selfPath {
	executable, err := os.Executable()
	if err != nil {
		return selfPath{err: err}
	}
	found, _ := exec.LookPath(os.Args[0])
	if name, err := filepath.Abs(found); err == nil && sameFile(name, executable) {
		return selfPath{path: name}
	}
	return selfPath{path: executable}
}

func sameFile(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

// Fork starts cmd with a channel to it. It is Config{}.Fork(cmd).
func Fork(cmd *exec.Cmd) (*Child, error) { return Config{}.Fork(cmd) }

// Fork starts cmd with a channel to it. It appends the child's end to cmd.ExtraFiles and
// announces it in cmd.Env. cmd may be any program; one that does not know the channel
// just does not use it. The caller must call Wait.
func (cfg Config) Fork(cmd *exec.Cmd) (*Child, error) {
	parentFD, childFD, err := socketpair()
	if err != nil {
		return nil, fmt.Errorf("fork: %w", err)
	}
	childEnd := os.NewFile(uintptr(childFD), "channel")
	// If the parent kept it open, the child's death would not end the channel.
	defer childEnd.Close()

	fd := 3 + len(cmd.ExtraFiles)
	cmd.ExtraFiles = append(cmd.ExtraFiles, childEnd)
	cmd.Env = append(cmd.Environ(),
		fmt.Sprintf("%s=%d", channelFD, fd), serializationMode+"=json")
	if cmd.WaitDelay == 0 {
		cmd.WaitDelay = outputDelay
	}
	c := newChannel(parentFD, cfg)
	c.step("socketpair", "two connected AF_UNIX stream sockets: %d stays here, %d is for the child",
		parentFD, childFD)
	if err := cmd.Start(); err != nil {
		c.end(nil)
		return nil, fmt.Errorf("fork: %w", err)
	}
	c.step("start", "pid %d has it as descriptor %d, announced by %s=%d and %s=json",
		cmd.Process.Pid, fd, channelFD, fd, serializationMode)
	child := &Child{Channel: c, cmd: cmd}
	child.wait = sync.OnceValues(child.reap)
	return child, nil
}

// Pid returns the process id of the child.
func (c *Child) Pid() int { return c.cmd.Process.Pid }

// Kill sends the child a signal. Like Node's kill, it does not wait for the effect. After
// Wait has returned, it returns os.ErrProcessDone.
func (c *Child) Kill(sig syscall.Signal) error { return c.cmd.Process.Signal(sig) }

// Wait waits until the child has exited, reads what the child wrote before, up to
// Config.MaxInbox, for Messages to yield, and closes the channel. It does not wait for grandchildren that hold the
// channel open, and no longer than a second for those that hold the output open. A child
// may be unable to exit before its messages are read, so range over Messages, or call
// Disconnect, first. Wait may be called more than once.
func (c *Child) Wait() (Exit, error) { return c.wait() }

func (c *Child) reap() (Exit, error) {
	err := c.cmd.Wait()
	c.readRest()
	state := c.cmd.ProcessState
	if state == nil {
		return Exit{}, fmt.Errorf("wait: %w", err)
	}
	c.step("exit", "pid %d: %v", state.Pid(), state)
	if _, failed := errors.AsType[*exec.ExitError](err); failed {
		err = nil // Exit tells that
	}
	return ExitOf(state), err
}
