package ipc

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"playing-with-processes/internal/clitest"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func init() {
	roles["exit-after-send"] = sendAndExit
	roles["exit-after-batch"] = sendBatchAndExit
	roles["until-disconnect"] = runUntilDisconnect
}

// sendAndExit exits after sending more than the kernel holds.
func sendAndExit() {
	parent := mustParent()
	for i := range 3 {
		if err := parent.Send(context.Background(), strings.Repeat(fmt.Sprint(i), 1<<20)); err != nil {
			panic(err)
		}
	}
	os.Exit(7)
}

// sendBatchAndExit exits after sending what the kernel holds.
func sendBatchAndExit() {
	mustParent().SendBatch(context.Background(), 1, 2, 3)
	os.Exit(7)
}

func runUntilDisconnect() {
	parent := mustParent()
	parent.Send(context.Background(), "ready")
	for range parent.Messages() {
	}
}

// What a child sends right before it exits arrives, whatever its size.
func TestMessagesBeforeExitArrive(t *testing.T) {
	noLeaks(t)
	child := fork(t, role(t, "exit-after-send"))
	data, errs := receiveAll(t, child.Channel)
	require.Empty(t, errs)
	require.Len(t, data, 3)
	for i, text := range data {
		require.Equal(t, `"`+strings.Repeat(fmt.Sprint(i), 1<<20)+`"`, text)
	}
	requireExit(t, Exit{Code: 7}, child)
}

// Wait keeps what the child has sent, to be received afterwards. A second Wait returns
// the same as the first.
func TestWaitBeforeReceive(t *testing.T) {
	noLeaks(t)
	child := fork(t, role(t, "exit-after-batch"))
	for range 2 {
		requireExit(t, Exit{Code: 7}, child)
	}
	data, errs := receiveAll(t, child.Channel)
	require.Empty(t, errs)
	require.Equal(t, []string{"1", "2", "3"}, data)
	require.ErrorIs(t, child.Send(clitest.Context(t), 1), ErrClosed)
	require.ErrorIs(t, child.Kill(unix.SIGTERM), os.ErrProcessDone)
}

// When a child is killed, its channel ends at once.
func TestKilledChildEndsMessages(t *testing.T) {
	noLeaks(t)
	child := fork(t, role(t, "until-disconnect"))
	receive(t, child.Channel)
	require.NoError(t, child.Kill(unix.SIGKILL))
	data, errs := receiveAll(t, child.Channel)
	require.Empty(t, data)
	require.Empty(t, errs)
	exit, err := child.Wait()
	require.NoError(t, err)
	require.Equal(t, Exit{Code: -1, Signal: unix.SIGKILL}, exit)
	require.Equal(t, "signal killed", exit.String())
}

// A program that cannot be started is an error with the cause, and leaves nothing open.
func TestForkFails(t *testing.T) {
	noLeaks(t)
	_, err := Fork(exec.Command("no-such-program"))
	require.ErrorIs(t, err, exec.ErrNotFound)
	_, err = Fork(exec.Command("/dev/null"))
	require.ErrorIs(t, err, os.ErrPermission)
	gone := exec.Command("true")
	gone.Dir = "/no/such/directory"
	_, err = Fork(gone)
	require.ErrorIs(t, err, os.ErrNotExist)
}

// Any program can use the channel: it is the descriptor that NODE_CHANNEL_FD names, after
// the other extra files, and carries lines of JSON.
func TestShellAsChild(t *testing.T) {
	noLeaks(t)
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	defer reader.Close()
	cmd := exec.Command("sh", "-c", `echo "[$NODE_CHANNEL_FD]" >&4; read line <&4; echo "$line" >&3`)
	cmd.ExtraFiles = []*os.File{writer}
	child := fork(t, cmd)
	writer.Close()
	require.NoError(t, child.Send(clitest.Context(t), "to the shell"))
	require.Equal(t, "[4]", string(receive(t, child.Channel).Data))
	line, err := io.ReadAll(reader)
	require.NoError(t, err)
	require.Equal(t, "\"to the shell\"\n", string(line))
	requireExit(t, Exit{}, child)
}
