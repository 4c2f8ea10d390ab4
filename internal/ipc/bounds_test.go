package ipc

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"playing-with-processes/internal/clitest"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// While no goroutine receives, messages stay in the kernel and the sender waits.
func TestFloodWaitsInTheKernel(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{})
	p.write("0\n")
	receive(t, c)
	p.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	var err error
	for err == nil {
		_, err = p.Write([]byte(strings.Repeat("1\n", 1<<10)))
	}
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	c.mu.Lock()
	defer c.mu.Unlock()
	require.Empty(t, c.inbox.items)
}

// A peer that floods the channel while an acknowledgement is pending is disconnected, in
// bounded memory, however short its messages are.
func TestReadAheadIsBounded(t *testing.T) {
	for name, line := range map[string]string{
		"blank":     "\n",
		"lengthy":   `"` + strings.Repeat("x", 10<<10) + "\"\n",
		"no handle": handleMessage,
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			c, p := newPeer(t, Config{MaxInbox: 128 << 10})
			sent := startSendHandle(t, c, 1, newSocketPair(t).far)
			p.line()
			before, written := allocated(), 0
			for burst := []byte(strings.Repeat(line, 1+1000/len(line))); ; {
				n, err := p.Write(burst)
				if written += n; err != nil {
					require.ErrorIs(t, err, unix.EPIPE)
					break
				}
				require.Less(t, written, 8<<20)
			}
			require.ErrorIs(t, <-sent, ErrClosed)
			require.Less(t, allocated()-before, uint64(64<<20))
			_, errs := receiveAll(t, c)
			require.ErrorIs(t, errs[len(errs)-1], ErrInboxFull)
		})
	}
}

// At most maxUndelivered handles wait to be received, and further handles are rejected.
// Once the program has received them, new handles are accepted.
func TestHandlesAreAcceptedAfterAFlood(t *testing.T) {
	const more = 50
	noLeaks(t)
	c, p := newPeer(t, Config{})
	pair, sending := newSocketPair(t), newSocketPair(t)
	before := len(clitest.OpenDescriptors(t))
	sent := startSendHandle(t, c, 1, sending.far) // makes the channel read ahead
	p.line()
	for range maxUndelivered + more {
		p.pass(handleMessage, pair.far)
		p.line()
	}
	require.Less(t, len(clitest.OpenDescriptors(t)), before+maxUndelivered+10)
	p.write("%s\n", lineACK)
	require.NoError(t, <-sent)
	for range maxUndelivered {
		require.NoError(t, receive(t, c).Close())
	}
	_, errs := receiveUntilMarker(t, c, p)
	require.Len(t, errs, more)
	require.ErrorIs(t, errs[0], ErrHandleLost)
	requireHandleArrives(t, c, p)
	pair.requireFarClosed(t)
}

// A peer that sends queries and does not read the replies is disconnected, in bounded
// memory.
func TestUnreadRepliesAreBounded(t *testing.T) {
	for name, line := range map[string]string{
		"counts":  `{"cmd":"NODE_SOCKET_GET_COUNT","key":"k"}` + "\n",
		"closes":  `{"cmd":"NODE_SOCKET_NOTIFY_CLOSE","key":"k"}` + "\n",
		"handles": handleMessage, // rejected, because they have no descriptor
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			c, p := newPeer(t, Config{})
			before := allocated()
			go p.Write([]byte(strings.Repeat(line, 100_000)))
			_, errs := receiveAll(t, c)
			require.ErrorIs(t, errs[len(errs)-1], ErrPeerNotReading)
			require.Less(t, allocated()-before, uint64(128<<20))
		})
	}
}

// A peer that reads the replies may send any number of queries.
func TestReadRepliesAreNotBounded(t *testing.T) {
	const queries = 20_000
	noLeaks(t)
	c, p := newPeer(t, Config{})
	go p.Write([]byte(strings.Repeat(`{"cmd":"NODE_SOCKET_GET_COUNT","key":"k"}`+"\n", queries) + marker))
	read := make(chan int, 1)
	go func() {
		n := 0
		for ; n < queries; n++ {
			if _, err := p.in.ReadString('\n'); err != nil {
				break
			}
		}
		read <- n
	}()
	require.Equal(t, marker, string(receive(t, c).Data)+"\n")
	require.Equal(t, queries, <-read)
}

// Random lines, in random pieces, with random descriptors, must neither end the channel
// nor leave a descriptor open.
func TestRandomLines(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{})
	pair := newSocketPair(t)
	go io.Copy(io.Discard, p.UnixConn) // the peer reads, and the kernel closes descriptors
	go writeRandomLines(p, pair.far)
	messages := 0
	for msg, err := range c.Messages() {
		messages++
		msg.Close()
		if string(msg.Data)+"\n" == marker {
			break
		}
		if err != nil {
			require.ErrorIs(t, err, ErrHandleLost)
		}
	}
	require.Greater(t, messages, 100)
	require.NoError(t, c.Disconnect())
	pair.requireFarClosed(t)
}

func writeRandomLines(p *peer, fd int) {
	random := rand.New(rand.NewPCG(1, 2))
	lines := []string{
		"", "1", "{", "\x00", lineACK, lineNACK, `{"cmd":"NODE_X"}`,
		strings.TrimSpace(handleMessage), handleMessage[:9],
		`{"cmd":"NODE_HANDLE","key":"k"}`, `{"cmd":"NODE_SOCKET_GET_COUNT","key":"k"}`,
		`{"cmd":"NODE_SOCKET_NOTIFY_CLOSE","key":"k"}`, strings.Repeat("x", 3000),
	}
	for range 300 {
		var burst bytes.Buffer
		for range random.IntN(10) {
			burst.WriteString(lines[random.IntN(len(lines))] + "\n")
		}
		for text := burst.Bytes(); len(text) > 0; {
			n := 1 + random.IntN(len(text))
			fds := make([]int, random.IntN(3)*random.IntN(3))
			for i := range fds {
				fds[i] = fd
			}
			p.WriteMsgUnix(text[:n], unix.UnixRights(fds...), nil)
			text = text[n:]
		}
	}
	p.Write([]byte("\n" + marker))
}
