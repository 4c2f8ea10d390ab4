package clitest

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Terminal is the terminal of a command in its foreground. After `stty tostop`, which is
// done, it stops a process in the background that writes to it.
type Terminal struct {
	*exec.Cmd
	t      *testing.T
	screen *bufio.Scanner
	shown  strings.Builder
}

// StartOnTerminal starts cmd as the leader of a session, with a terminal of its own.
func StartOnTerminal(t *testing.T, cmd *exec.Cmd) *Terminal {
	t.Helper()
	master, slave := openTerminal(t)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(t, cmd.Start())
	slave.Close()
	return &Terminal{Cmd: cmd, t: t, screen: bufio.NewScanner(master)}
}

// openTerminal opens a terminal. See pts(4).
func openTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { master.Close() })
	fd := int(master.Fd())
	require.NoError(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	require.NoError(t, err)
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	settings, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	require.NoError(t, err)
	settings.Lflag |= unix.TOSTOP
	require.NoError(t, unix.IoctlSetTermios(fd, unix.TCSETS, settings))
	return master, slave
}

// Await waits for the next line that matches.
func (m *Terminal) Await(pattern string) {
	m.t.Helper()
	matching := regexp.MustCompile(pattern)
	for m.screen.Scan() {
		fmt.Fprintln(&m.shown, m.screen.Text())
		if matching.MatchString(m.screen.Text()) {
			return
		}
	}
	require.FailNow(m.t, "it has ended", "without %q:\n%s", pattern, m.shown.String())
}

// End waits for the end of the command, and returns all that was shown.
func (m *Terminal) End() string {
	m.t.Helper()
	for m.screen.Scan() { // its error is EIO, after the last process on the terminal
		fmt.Fprintln(&m.shown, m.screen.Text())
	}
	m.Wait()
	return m.shown.String()
}
