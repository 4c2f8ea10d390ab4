package ipc

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"playing-with-processes/internal/clitest"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func init() {
	roles["start-grandchild"] = startGrandchild
	roles["run-grandchild"] = runGrandchild
	roles["print-inherited"] = printInherited
}

// startGrandchild exits while a grandchild that has inherited everything runs on.
func startGrandchild() {
	cmd := Self("without-channel")
	channel := os.NewFile(3, "channel")
	cmd.ExtraFiles = []*os.File{channel}
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	mustParent().SendBatch(context.Background(), cmd.Process.Pid, "last message")
}

// runGrandchild reports what a grandchild has inherited after Parent.
func runGrandchild() {
	parent := mustParent()
	cmd := Self("print-inherited")
	cmd.Stdout = nil
	out, err := cmd.Output()
	if err != nil {
		panic(err)
	}
	parent.Send(context.Background(), string(out))
}

func printInherited() {
	_, err := unix.Getsockname(3)
	fmt.Print(err == nil, os.Getenv(channelFD), os.Getenv(serializationMode))
}

// A grandchild that inherits the channel and the output must not delay Wait, and the last
// message of the child arrives.
func TestGrandchildHoldsChannelAndOutput(t *testing.T) {
	noLeaks(t)
	cmd := role(t, "start-grandchild")
	pipeStdio(t, cmd)
	var out bytes.Buffer
	cmd.Stdout = &out // through a pipe, which the grandchild holds open
	child := fork(t, cmd)
	exit, err := child.Wait()
	require.ErrorIs(t, err, exec.ErrWaitDelay)
	require.Equal(t, Exit{}, exit)

	var pid int
	require.NoError(t, receive(t, child.Channel).Decode(&pid))
	require.NoError(t, unix.Kill(pid, 0), "the grandchild must be alive")
	require.NoError(t, unix.Kill(pid, unix.SIGKILL))
	require.Equal(t, `"last message"`, string(receive(t, child.Channel).Data))
	_, err = receiveAny(t, child.Channel)
	require.Equal(t, io.EOF, err)
}

// Wait ends a loop over Messages although a grandchild holds the channel open.
func TestWaitEndsMessagesDespiteGrandchild(t *testing.T) {
	noLeaks(t)
	cmd := role(t, "start-grandchild")
	pipeStdio(t, cmd)
	child := fork(t, cmd)
	var pid int
	require.NoError(t, receive(t, child.Channel).Decode(&pid))
	defer unix.Kill(pid, unix.SIGKILL)
	ended := make(chan []string)
	go func() {
		var data []string
		for msg := range child.Messages() {
			data = append(data, string(msg.Data))
		}
		ended <- data
	}()
	_, err := child.Wait()
	require.NoError(t, err)
	require.Equal(t, []string{`"last message"`}, <-ended)
}

// A grandchild that never stops writing must neither delay Wait nor fill the memory. The
// closed channel ends it.
func TestGrandchildWritesEndlessly(t *testing.T) {
	noLeaks(t)
	child := fork(t, exec.Command("sh", "-c", "yes >&3 2>/dev/null & read line <&3"))
	receive(t, child.Channel)
	require.NoError(t, child.Send(clitest.Context(t), "exit now"))
	requireExit(t, Exit{}, child)
	require.Less(t, child.inbox.bytes, 32<<20)
}

// A grandchild inherits neither the channel nor its variables.
func TestGrandchildInheritsNothing(t *testing.T) {
	noLeaks(t)
	cmd := role(t, "run-grandchild")
	child := fork(t, cmd)
	require.Equal(t, `"false"`, string(receive(t, child.Channel).Data))
}
