package ipc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"playing-with-processes/internal/clitest"

	"github.com/stretchr/testify/require"
)

func init() {
	roles["node-disconnect"] = asChild(waitForDisconnect)
	roles["node-exit-after-send"] = asChild(exitAfterSend)
	roles["node-advanced"] = advancedMode
}

// A Go child must notice when its Node parent disconnects.
func TestNodeParentDisconnects(t *testing.T) {
	noLeaks(t)
	nodeParent(t, "disconnect.js")
}

func waitForDisconnect(ctx context.Context, connect func(Config) (*Channel, error)) error {
	c, err := connect(Config{})
	if err != nil {
		return err
	}
	if err := c.Send(ctx, "ready"); err != nil {
		return err
	}
	for msg, err := range c.Messages() {
		return fmt.Errorf("received %s, %v", msg.Data, err)
	}
	if err := c.Send(ctx, "too late"); !errors.Is(err, ErrClosed) {
		return fmt.Errorf("Send after the end: %v", err)
	}
	return nil
}

// Disconnect must end a Node child. Messages sent before it arrive.
func TestDisconnectEndsNodeChild(t *testing.T) {
	noLeaks(t)
	cmd := node(t, `process.on('message', (m) => console.log(m));
		process.on('disconnect', () => console.log('disconnect', process.connected));`)
	out := new(strings.Builder)
	cmd.Stdout = out
	child := fork(t, cmd)
	require.NoError(t, child.Send(clitest.Context(t), "sent before"))
	require.NoError(t, child.Disconnect())
	requireExit(t, Exit{}, child)
	require.Equal(t, "sent before\ndisconnect false\n", out.String())
}

// Whatever a Node child has written before it exits must arrive. A message that the child
// cut off is an error.
func TestNodeChildExitsAfterSend(t *testing.T) {
	noLeaks(t)
	for _, tc := range []struct {
		name, program string
		length        int
		err           error
	}{
		{"written", `process.send('x'.repeat(50_000)); process.exit(0)`, 50_000, nil},
		{"sent", `process.send('x'.repeat(1 << 20), () => process.exit(0))`, 1 << 20, nil},
		{"cut off by exit", `process.send('x'.repeat(1 << 20)); process.exit(0)`, 0, io.ErrUnexpectedEOF},
	} {
		t.Run(tc.name, func(t *testing.T) {
			noLeaks(t)
			child := fork(t, node(t, tc.program))
			if tc.length < 1<<20 {
				// The kernel holds all that the child writes.
				requireExit(t, Exit{}, child)
			}
			msg, err := receiveAny(t, child.Channel)
			require.ErrorIs(t, err, tc.err)
			if tc.err == nil {
				var got string
				require.NoError(t, msg.Decode(&got))
				require.Equal(t, strings.Repeat("x", tc.length), got)
			}
			_, err = receiveAny(t, child.Channel)
			require.Equal(t, io.EOF, err)
			requireExit(t, Exit{}, child)
		})
	}
}

// What a Go child sends right before it exits must arrive at its Node parent.
func TestChildOfNodeExitsAfterSend(t *testing.T) {
	noLeaks(t)
	nodeParent(t, "exitaftersend.js")
}

func exitAfterSend(ctx context.Context, connect func(Config) (*Channel, error)) error {
	c, err := connect(Config{})
	if err != nil {
		return err
	}
	if err := c.Send(ctx, strings.Repeat("x", 1<<20)); err != nil {
		return err
	}
	os.Exit(0)
	return nil
}

// Wait must tell exit codes and signals apart.
func TestNodeChildExit(t *testing.T) {
	noLeaks(t)
	const killed = `process.on('message', (sig) => process.kill(process.pid, sig)); process.send('up')`
	for _, tc := range []struct {
		name, program, signal, want string
	}{
		{"end of program", `process.send('up')`, "", "code 0"},
		{"exit 3", `process.send('up', () => process.exit(3))`, "", "code 3"},
		{"uncaught error", `process.send('up', () => { throw 'on purpose' })`, "", "code 1"},
		{"SIGTERM", killed, "SIGTERM", "signal terminated"},
		{"SIGKILL", killed, "SIGKILL", "signal killed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			noLeaks(t)
			cmd := node(t, tc.program)
			cmd.Stderr = nil
			child := fork(t, cmd)
			require.Equal(t, `"up"`, string(receive(t, child.Channel).Data))
			if tc.signal != "" {
				require.NoError(t, child.Send(clitest.Context(t), tc.signal))
			}
			exit, err := child.Wait()
			require.NoError(t, err)
			require.Equal(t, tc.want, exit.String())
			_, err = receiveAny(t, child.Channel)
			require.Equal(t, io.EOF, err)
		})
	}
}

// If the Node parent uses "advanced" serialization, the channel must end, and the error
// of Parent must name the variable.
func TestAdvancedSerializationIsRejected(t *testing.T) {
	noLeaks(t)
	out := nodeParent(t, "advanced.js")
	require.Contains(t, out, `NODE_CHANNEL_SERIALIZATION_MODE="advanced"`)
}

// advancedMode runs on after Parent has failed, so the channel must end before the
// process does.
func advancedMode() {
	c, err := Parent()
	fmt.Println(c, err)
	waitForStdinEOF()
}
