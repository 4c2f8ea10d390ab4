package ipc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"playing-with-processes/internal/clitest"

	"github.com/stretchr/testify/require"
)

// Disconnect ends both sides. After it, Disconnect and Send return ErrClosed.
func TestDisconnect(t *testing.T) {
	noLeaks(t)
	child := fork(t, role(t, "until-disconnect"))
	receive(t, child.Channel)
	require.NoError(t, child.Disconnect())
	require.ErrorIs(t, child.Disconnect(), ErrClosed)
	require.ErrorIs(t, child.Send(clitest.Context(t), 1), ErrClosed)
	requireExit(t, Exit{}, child)
}

// Disconnect wakes blocked readers and writers, and closes handles that were not
// received.
func TestDisconnectWakesReadersAndWriters(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{})
	for range 2 {
		fd := newSocketPair(t).far
		p.pass(`{"cmd":"NODE_HANDLE","msg":1}`+"\n", fd)
	}
	receive(t, c).Close()

	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for range c.Messages() {
			}
		})
		wg.Go(func() {
			for c.Send(context.Background(), strings.Repeat("x", 1<<20)) == nil {
			}
		})
	}
	p.line() // a complete line, so a writer is writing
	c.Disconnect()
	wg.Wait()
}

// A peer that closes with unread input causes ECONNRESET. It is a plain disconnect after
// all that the peer wrote.
func TestPeerClosesWithUnreadInput(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{})
	require.NoError(t, c.Send(clitest.Context(t), "unread"))
	p.write("1\n2\n")
	p.Close()
	data, errs := receiveAll(t, c)
	require.Equal(t, []string{"1", "2"}, data)
	require.Empty(t, errs)
	require.ErrorIs(t, c.Send(clitest.Context(t), 1), ErrClosed)
}

// The goroutine that ranges over Messages gets no error from Disconnect, whatever has
// arrived.
func TestDisconnectDuringMessages(t *testing.T) {
	noLeaks(t)
	for range 200 {
		c, p := newPeer(t, Config{})
		errs := make(chan []error)
		go func() {
			var all []error
			for _, err := range c.Messages() {
				if err != nil {
					all = append(all, err)
				}
			}
			errs <- all
		}()
		p.write("1\n{\"half")
		c.Disconnect()
		require.Empty(t, <-errs)
	}
}

// If the peer does not read, Disconnect returns in time, ends all senders and closes the
// handles.
func TestDisconnectWhilePeerDoesNotRead(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{})
	pair := newSocketPair(t)
	var wg sync.WaitGroup
	errs := make([]error, 5)
	for i := range errs {
		wg.Go(func() {
			for errs[i] == nil {
				errs[i] = c.Send(context.Background(), strings.Repeat("x", 1<<20))
			}
		})
	}
	_, err := p.in.Peek(1)
	require.NoError(t, err)
	handle := startSendHandle(t, c, 1, pair.far)
	require.NoError(t, c.Disconnect())
	wg.Wait()
	for _, err := range append(errs, <-handle) {
		require.ErrorIs(t, err, ErrClosed)
	}
	pair.requireFarClosed(t)
}

// Disconnect may come at any moment: all goroutines of both sides end, all descriptors
// are closed, and whatever Send returned nil for arrives.
func TestDisconnectAtAnyMoment(t *testing.T) {
	for moment := 1; moment <= 200; moment *= 2 {
		t.Run(fmt.Sprintf("after %d messages", moment), func(t *testing.T) {
			noLeaks(t)
			a, b := connectedChannels(t)
			pair := newSocketPair(t)
			var sent, got int // messages from a to b
			var wg sync.WaitGroup
			for _, c := range []*Channel{a, b} {
				for _, size := range []int{1, 20_000} { // within maxUnread, and beyond
					wg.Go(func() { sendHandlesUntilClosed(c, strings.Repeat("x", size), pair.far) })
				}
			}
			wg.Go(func() {
				for a.Send(context.Background(), strings.Repeat("x", 3000)) == nil {
					sent++
				}
			})
			enough := make(chan struct{})
			wg.Go(func() {
				for msg, err := range b.Messages() {
					msg.Close()
					if err == nil && len(msg.Data) == 3002 {
						if got++; got == moment {
							close(enough)
						}
					}
				}
			})
			<-enough
			require.NoError(t, a.Disconnect())
			wg.Wait()
			require.GreaterOrEqual(t, got, sent)
			b.Disconnect()
			pair.requireFarClosed(t)
		})
	}
}

// sendHandlesUntilClosed sends handles, each with a short context, until the channel is
// closed.
func sendHandlesUntilClosed(c *Channel, message string, fd int) {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Millisecond)
		err := c.SendHandle(ctx, message, descriptor(fd))
		cancel()
		if errors.Is(err, ErrClosed) {
			return
		}
	}
}

// PeerClosed must tell before the last message is read.
func TestPeerClosed(t *testing.T) {
	noLeaks(t)
	c, p := newPeer(t, Config{})
	p.write("1\n")
	require.False(t, c.PeerClosed())
	p.Close()
	require.True(t, c.PeerClosed())
	require.Equal(t, "1", string(receive(t, c).Data))
	require.NoError(t, c.Disconnect())
	require.True(t, c.PeerClosed())
}
