package ipc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// mustParent is Parent for roles that cannot go on without.
func mustParent() *Channel {
	parent, err := Parent()
	if err != nil {
		panic(err)
	}
	return parent
}

// untilClosed waits for the end of standard input, which a test holds.
func untilClosed() { io.Copy(io.Discard, os.Stdin) }

func init() {
	ctx := context.Background()
	roles["raw-until-killed"] = func() { // never takes the channel
		fmt.Println("here")
		untilClosed()
	}
	roles["half-line-until-killed"] = func() {
		parent := mustParent()
		parent.Send(ctx, "whole")
		parent.socket.send([]byte(`{"half":`), nil, 0)
		fmt.Println("here")
		untilClosed()
	}
	roles["handle-until-killed"] = func() { // leaves the handle in its inbox
		parent := mustParent()
		for range parent.Messages() {
			fmt.Println("here")
			untilClosed()
		}
	}
	roles["what-parent-says"] = func() {
		_, err := Parent()
		fmt.Println(err)
		_, fd := os.LookupEnv(channelFD)
		_, mode := os.LookupEnv(serializationMode)
		fmt.Println("left:", fd, mode)
		_, err = Parent()
		fmt.Println(err)
	}
	roles["bear-grandchild"] = func() { // one that inherits everything, and lives on
		cmd := Self("raw-until-killed")
		channel := os.NewFile(3, "channel")
		cmd.ExtraFiles = []*os.File{channel}
		if err := cmd.Start(); err != nil {
			panic(err)
		}
		parent := mustParent()
		parent.SendBatch(ctx, cmd.Process.Pid, "last words")
	}
	roles["bear-stranger"] = func() { // one that must not see the channel
		parent := mustParent()
		cmd := Self("look-around")
		cmd.Stdout = nil
		out, err := cmd.Output()
		if err != nil {
			panic(err)
		}
		parent.Send(ctx, string(out))
	}
	roles["look-around"] = func() {
		_, err := unix.Getsockname(3)
		fmt.Print(err == nil, os.Getenv(channelFD), os.Getenv(serializationMode))
	}
}

// lifeline gives cmd a standard input that ends with the test, and reads its
// first line of output.
func lifeline(t *testing.T, cmd *exec.Cmd) (firstLine func() string) {
	t.Helper()
	stdin, hold, err := os.Pipe()
	require.NoError(t, err)
	out, stdout, err := os.Pipe()
	require.NoError(t, err)
	cmd.Stdin, cmd.Stdout = stdin, stdout
	t.Cleanup(func() {
		for _, f := range []*os.File{stdin, hold, out, stdout} {
			f.Close()
		}
	})
	return func() string {
		line := make([]byte, 100)
		n, err := out.Read(line)
		require.NoError(t, err)
		return strings.TrimSpace(string(line[:n]))
	}
}

// A child killed at any stage of the set-up ends the channel, is reaped, and
// leaves nothing.
func TestKilledAtEachStage(t *testing.T) {
	for _, test := range []struct {
		name, role string
		wait       bool
		handle     bool
		want       []string
		errs       []error
	}{
		{name: "right after fork", role: "raw-until-killed"},
		{name: "before it takes the channel", role: "raw-until-killed", wait: true},
		{name: "in the middle of a line", role: "half-line-until-killed", wait: true, want: []string{`"whole"`}, errs: []error{io.ErrUnexpectedEOF}},
		{name: "with a handle it never took", role: "handle-until-killed", wait: true, handle: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			noLeaks(t)
			cmd := role(t, test.role)
			here := lifeline(t, cmd)
			child := fork(t, cmd)
			if test.handle {
				require.Equal(t, []error{nil}, flying(t, child.Channel, 1, 1)())
			}
			if test.wait {
				require.Equal(t, "here", here())
			}
			require.NoError(t, child.Kill(unix.SIGKILL))
			exit, err := child.Wait()
			require.NoError(t, err)
			require.Equal(t, unix.SIGKILL, exit.Signal)
			data, errs := everything(t, child.Channel)
			require.Equal(t, test.want, data)
			require.Len(t, errs, len(test.errs))
			for i, want := range test.errs {
				require.ErrorIs(t, errs[i], want)
			}
			require.ErrorIs(t, child.Send(testContext(t), 1), ErrClosed)
		})
	}
}

// A handle on its way to a child that is killed is ErrClosed, not a hang.
func TestKilledBeforeAcknowledging(t *testing.T) {
	noLeaks(t)
	cmd := role(t, "raw-until-killed")
	here := lifeline(t, cmd)
	child := fork(t, cmd)
	here()
	results := flying(t, child.Channel, 3, 1)
	require.NoError(t, child.Kill(unix.SIGKILL))
	for _, err := range results() {
		require.ErrorIs(t, err, ErrClosed)
	}
}

// What NODE_CHANNEL_FD may hold in an unlucky environment is an error that
// names it; in each case the variables are gone afterwards.
func TestUnluckyEnvironment(t *testing.T) {
	noLeaks(t)
	file, err := os.Open("/dev/null")
	require.NoError(t, err)
	defer file.Close()
	pipe, w, err := os.Pipe()
	require.NoError(t, err)
	defer pipe.Close()
	defer w.Close()
	tcp, err := listener(t).File()
	require.NoError(t, err)
	defer tcp.Close()
	grams, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	require.NoError(t, err)
	gram := os.NewFile(uintptr(grams[0]), "gram")
	defer gram.Close()
	defer unix.Close(grams[1])

	for _, test := range []struct {
		name, number, mode string
		third              *os.File
		want               string
	}{
		{name: "empty", number: "", want: ErrNotForked.Error()},
		{name: "word", number: "x", want: `NODE_CHANNEL_FD="x" is not a descriptor`},
		{name: "negative", number: "-1", want: `NODE_CHANNEL_FD="-1" is not a descriptor`},
		{name: "huge", number: "99999999999999999999", want: `NODE_CHANNEL_FD="99999999999999999999" is not a descriptor`},
		{name: "beyond 32 bits", number: "4294967299", want: `NODE_CHANNEL_FD="4294967299" is not a descriptor`},
		{name: "not open", number: "77", want: "NODE_CHANNEL_FD=77 is not an open AF_UNIX stream socket"},
		{name: "the runtime's own", number: "4", want: "NODE_CHANNEL_FD=4 is not an open AF_UNIX stream socket"},
		{name: "file", number: "3", third: file, want: "NODE_CHANNEL_FD=3 is not an open AF_UNIX stream socket"},
		{name: "pipe", number: "3", third: pipe, want: "NODE_CHANNEL_FD=3 is not an open AF_UNIX stream socket"},
		{name: "TCP", number: "3", third: tcp, want: "NODE_CHANNEL_FD=3 is not an open AF_UNIX stream socket"},
		{name: "datagrams", number: "3", third: gram, want: "NODE_CHANNEL_FD=3 is not an open AF_UNIX stream socket"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cmd := role(t, "what-parent-says")
			cmd.Stdout = nil
			cmd.Env = append(os.Environ(), channelFD+"="+test.number, serializationMode+"=json")
			if test.third != nil {
				cmd.ExtraFiles = []*os.File{test.third}
			}
			out, err := cmd.Output()
			require.NoError(t, err)
			require.Equal(t, test.want+"\nleft: false false\n"+ErrNotForked.Error()+"\n", string(out))
		})
	}
}

// A grandchild that inherits everything, the channel and the output too, does
// not hold up Wait, and the child's last words arrive.
func TestGrandchildHoldsEverything(t *testing.T) {
	noLeaks(t)
	cmd := role(t, "bear-grandchild")
	lifeline(t, cmd)
	var out bytes.Buffer
	cmd.Stdout = &out // a pipe and a goroutine, which the grandchild keeps busy
	child := fork(t, cmd)
	exit, err := child.Wait()
	require.ErrorIs(t, err, exec.ErrWaitDelay)
	require.Equal(t, Exit{}, exit)

	var pid int
	require.NoError(t, receive(t, child.Channel).Decode(&pid))
	require.NoError(t, unix.Kill(pid, 0), "the grandchild is alive, or this proves nothing")
	require.NoError(t, unix.Kill(pid, unix.SIGKILL))
	require.Equal(t, `"last words"`, string(receive(t, child.Channel).Data))
	_, err = receiveAny(t, child.Channel)
	require.Equal(t, io.EOF, err)
}

// The same while somebody is reading: Wait ends the loop.
func TestWaitEndsAReaderThatAGrandchildHolds(t *testing.T) {
	noLeaks(t)
	cmd := role(t, "bear-grandchild")
	lifeline(t, cmd)
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
	require.Equal(t, []string{`"last words"`}, <-ended)
}

// A grandchild that never stops writing neither holds up Wait nor fills the
// memory; it dies of the closed channel.
func TestGrandchildWritesForEver(t *testing.T) {
	noLeaks(t)
	child := fork(t, exec.Command("sh", "-c", "yes >&3 2>/dev/null & read line <&3"))
	receive(t, child.Channel)
	require.NoError(t, child.Send(testContext(t), "exit now"))
	exit, err := child.Wait()
	require.NoError(t, err)
	require.Equal(t, Exit{}, exit)
	require.Less(t, child.inbox.bytes, 32<<20)
}

// Grandchildren see neither the channel nor the variables.
func TestNothingLeaksToGrandchildren(t *testing.T) {
	noLeaks(t)
	cmd := role(t, "bear-stranger")
	child := fork(t, cmd)
	require.Equal(t, `"false"`, string(receive(t, child.Channel).Data))
}

// A program that cannot be started is an error that says why, and leaves
// nothing.
func TestForkFails(t *testing.T) {
	noLeaks(t)
	_, err := Fork(exec.Command("no-such-program"))
	require.ErrorIs(t, err, exec.ErrNotFound)
	_, err = Fork(exec.Command("/dev/null"))
	require.ErrorIs(t, err, os.ErrPermission)
	gone := exec.Command("true")
	gone.Dir = "/no/such/directory"
	_, err = Fork(gone)
	require.True(t, errors.Is(err, os.ErrNotExist))
}

// Any program can speak: a line of JSON on the descriptor that the variable
// names, behind what else it was given.
func TestShellAsChild(t *testing.T) {
	noLeaks(t)
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	defer reader.Close()
	cmd := exec.Command("sh", "-c", `echo "[$NODE_CHANNEL_FD]" >&4; read line <&4; echo "$line" >&3`)
	cmd.ExtraFiles = []*os.File{writer}
	child := fork(t, cmd)
	writer.Close()
	require.NoError(t, child.Send(testContext(t), "to the shell"))
	require.Equal(t, "[4]", string(receive(t, child.Channel).Data))
	line, err := io.ReadAll(reader)
	require.NoError(t, err)
	require.Equal(t, "\"to the shell\"\n", string(line))
	exit, err := child.Wait()
	require.NoError(t, err)
	require.Equal(t, Exit{}, exit)
}
