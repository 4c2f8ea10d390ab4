package ipc

import (
	"fmt"
	"testing"

	"playing-with-processes/internal/clitest"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A descriptor may come with any byte of its line.
func TestDescriptorWithAnyByteOfItsLine(t *testing.T) {
	for _, at := range []int{0, 1, len(handleMessage) / 2, len(handleMessage) - 1} {
		t.Run(fmt.Sprint("byte ", at), func(t *testing.T) {
			noLeaks(t)
			c, p := newPeer(t, Config{})
			pair := newSocketPair(t)
			go func() {
				p.Write([]byte("0\n"))
				for i, b := range []byte(handleMessage) {
					if i == at {
						p.WriteMsgUnix([]byte{b}, unix.UnixRights(pair.far), nil)
					} else {
						p.Write([]byte{b})
					}
				}
			}()
			require.Equal(t, "0", string(receive(t, c).Data))
			pair.requireFarEndOf(t, receive(t, c))
			require.Equal(t, lineACK, p.line())
			requireHandleArrives(t, c, p)
		})
	}
}

// A descriptor that belongs to no handle is closed, and the next handle gets its own
// descriptor.
func TestDescriptorWithoutHandleIsClosed(t *testing.T) {
	for _, tc := range []struct {
		name, line string
		messages   int
	}{
		{"message", "1\n", 1},
		{"blank line", "\n", 1},
		{"not quite NODE_HANDLE", `{"cmd":"NODE_HANDLE","msg":}` + "\n", 1},
		{"unknown command", `{"cmd":"NODE_X"}` + "\n", 0},
		{"acknowledgement", lineACK + "\n", 0},
		{"several lines", "1\n2\n3\n", 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			noLeaks(t)
			c, p := newPeer(t, Config{})
			stray, good := newSocketPair(t), newSocketPair(t)
			p.pass(tc.line, stray.far)
			p.pass(handleMessage, good.far)
			for range tc.messages {
				receive(t, c)
			}
			good.requireFarEndOf(t, receive(t, c))
			require.Equal(t, lineACK, p.line())
			stray.requireFarClosed(t)
			requireNoStrayDescriptor(t, c, p, tc.line)
		})
	}
}

// requireNoStrayDescriptor requires that the descriptor of a line without a handle is not
// used for a handle without a descriptor.
func requireNoStrayDescriptor(t *testing.T, c *Channel, p *peer, line string) {
	t.Helper()
	p.pass(line, newSocketPair(t).far)
	p.write(handleMessage)
	_, errs := receiveUntilMarker(t, c, p)
	require.Len(t, errs, 1)
	require.ErrorIs(t, errs[0], ErrHandleLost)
	require.Equal(t, lineNACK, p.line())
}

// Of several descriptors in one message, the first is the handle, and the others are
// closed.
func TestManyDescriptorsInOneMessage(t *testing.T) {
	for _, n := range []int{2, 200, 253} { // 253 is the kernel's limit
		for _, line := range []string{handleMessage, "1\n"} {
			t.Run(fmt.Sprintf("%d with %.7q", n, line), func(t *testing.T) {
				noLeaks(t)
				c, p := newPeer(t, Config{})
				first, others := newSocketPair(t), newSocketPair(t)
				fds := []int{first.far}
				for len(fds) < n {
					fds = append(fds, others.far)
				}
				p.pass(line, fds...)
				msg := receive(t, c)
				if line == handleMessage {
					first.requireFarEndOf(t, msg)
					require.Equal(t, lineACK, p.line())
				}
				requireHandleArrives(t, c, p)
				first.requireFarClosed(t)
				others.requireFarClosed(t)
			})
		}
	}
}

// Descriptors that come with the bytes of one long line must not accumulate.
func TestDescriptorsOfAnEndlessLine(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{})
	pair := newSocketPair(t)
	sent := startSendHandle(t, c, 1, pair.far) // makes the channel read ahead
	p.line()
	before := len(clitest.OpenDescriptors(t))
	for range 500 {
		p.pass("x", pair.far, pair.far)
	}
	waitUntilRead(t, p)
	require.Less(t, len(clitest.OpenDescriptors(t)), before+10)
	p.write("\n%s\n", lineACK)
	require.NoError(t, <-sent)
	require.Len(t, receive(t, c).Data, 500)
	requireHandleArrives(t, c, p)
}
