package ipc

import (
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"playing-with-processes/internal/clitest"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// With Poll, messages and handles of any size must arrive as they do without it, in order.
func TestPoll(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{Poll: true})
	long := strings.Repeat("x", 1<<20)
	far := newSocketPair(t).far
	go func() {
		for i := range 100 {
			io.WriteString(p, strconv.Itoa(i)+"\n")
		}
		io.WriteString(p, `"`+long+`"`+"\n")
		p.WriteMsgUnix([]byte(handleMessage), unix.UnixRights(far), nil)
		io.WriteString(p, marker)
	}()
	for i := range 100 {
		require.Equal(t, strconv.Itoa(i), string(receive(t, c).Data))
	}
	require.Equal(t, `"`+long+`"`, string(receive(t, c).Data))
	handle := receive(t, c)
	require.Equal(t, KindConn, handle.Kind())
	require.NoError(t, handle.Close())
	require.Equal(t, strings.TrimSpace(marker), string(receive(t, c).Data))
	require.Equal(t, lineACK, p.line())
}

// With Poll, a read that waits must end with the channel, whichever side ends it, and so must a
// Send that waits.
func TestPollEnds(t *testing.T) {
	for side, end := range map[string]func(c *Channel, p *peer) error{
		"this side":  func(c *Channel, _ *peer) error { return c.Disconnect() },
		"other side": func(_ *Channel, p *peer) error { return p.Close() },
	} {
		t.Run(side, func(t *testing.T) {
			noLeaks(t)
			c, p := newPeer(t, Config{Poll: true})
			read, sent := make(chan error, 1), make(chan error, 1)
			go func() {
				_, err := c.Receive()
				read <- err
			}()
			go func() {
				var err error
				for err == nil {
					err = c.Send(clitest.Context(t), strings.Repeat("x", 1<<16))
				}
				sent <- err
			}()
			clitest.Eventually(t, func() bool {
				c.mu.Lock()
				defer c.mu.Unlock()
				return c.reading.active && len(c.outgoing.writing) > 0
			})
			require.NoError(t, end(c, p))
			require.Equal(t, io.EOF, <-read)
			require.Equal(t, ErrClosed, <-sent)
		})
	}
}

// With Poll, what a dead child has left must arrive.
func TestPollWait(t *testing.T) {
	noLeaks(t)
	for range 5 {
		cmd := Self("last-words")
		cmd.Stdin = nil
		child, err := Config{Poll: true}.Fork(cmd)
		require.NoError(t, err)
		all := make(chan int, 1)
		go func() {
			n := 0
			for range child.Messages() {
				n++
			}
			all <- n
		}()
		requireExit(t, Exit{}, child)
		require.Equal(t, 1000, <-all)
	}
}

// pollVariable makes newPeer set Config.Poll.
const pollVariable = "IPC_TEST_POLL"

// polled is what newPeer says when it does.
const polled = "this channel waits in the poller"

// Whatever a hostile peer writes must do no more harm with Poll than without it.
func TestPollWithHostilePeers(t *testing.T) {
	if os.Getenv(pollVariable) != "" {
		t.Skip("this process runs them")
	}
	const hostile = "Flood|Bounded|RandomLines|Receive|InvalidLines|LastLine|Line$|Descriptor|Handle|Peer|Disconnect|Acknowledge|Counts|Cluster|Skip"
	cmd := exec.Command(os.Args[0], "-test.v", "-test.run", hostile, "-test.skip", "Soak|Poll|Lines", "-test.timeout", clitest.Never.String())
	cmd.Env = append(cmd.Environ(), pollVariable+"=1")
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", output)
	require.Greater(t, strings.Count(string(output), "--- PASS: Test"), 40)
	require.Contains(t, string(output), polled)
}
