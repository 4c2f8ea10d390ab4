package cluster

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
)

// letterOf is a letter with a message of this many bytes.
func letterOf(from string, bytes int) letter[string] {
	return letter[string]{from: from, message: Message{Data: []byte(strings.Repeat("x", bytes))}}
}

// never is for a letter that must not wait.
func never(t *testing.T) func(<-chan struct{}) <-chan struct{} {
	return func(<-chan struct{}) <-chan struct{} {
		require.Fail(t, "it must not wait")
		return nil
	}
}

// Without a loop, a sender's letters must be kept as long as there is room for them, and one sender
// must not take another one's room.
func TestMailboxWithoutLoop(t *testing.T) {
	b := newMailbox[string]()
	require.True(t, b.put(letterOf("a", maxUnread), never(t)))
	require.False(t, b.put(letterOf("a", 1), never(t)))
	require.True(t, b.put(letterOf("b", 1), never(t)))
	b.close()
	var from []string
	for l := range b.all() {
		from = append(from, l.from)
	}
	require.Equal(t, []string{"a", "b"}, from)
	require.Empty(t, b.unread)
	require.False(t, b.put(letterOf("a", 1), never(t)))
}

// The letters of a sender that has ended must take no memory, unless a loop will take them.
func TestMailboxForgets(t *testing.T) {
	for loops, kept := range []int{1, 3} {
		b := newMailbox[string]()
		b.loop(loops)
		for _, from := range []string{"a", "b", "a"} {
			require.True(t, b.put(letterOf(from, 1), never(t)))
		}
		require.Equal(t, 3-kept, b.forget("a"))
		require.Len(t, b.letters, kept)
		require.Len(t, b.unread, 1+loops)
	}
}

// All senders together must not take more than there is room for, even if each has ended.
func TestMailboxTotal(t *testing.T) {
	b := newMailbox[string]()
	b.loop(1)
	over := make(chan struct{})
	close(over)
	kept := 0
	for b.put(letterOf(fmt.Sprint(kept), maxUnread), func(<-chan struct{}) <-chan struct{} { return over }) {
		kept++
	}
	require.Equal(t, maxUnreadOfAll, kept)
}

// With a loop, a sender must wait for room, and then its letters arrive, in order.
func TestMailboxWaits(t *testing.T) {
	b := newMailbox[string]()
	b.loop(1)
	require.True(t, b.put(letterOf("a", maxUnread), never(t)))
	stalled, put := make(chan struct{}), make(chan bool)
	go func() {
		put <- b.put(letterOf("a", 1), func(<-chan struct{}) <-chan struct{} {
			close(stalled)
			return nil
		})
	}()
	<-stalled
	first, ok := b.take()
	require.True(t, ok)
	require.Len(t, first.message.Data, maxUnread)
	require.True(t, b.hasUnread("a"), "it is not handled yet")
	b.handled(first)
	require.True(t, <-put)
	second, ok := b.take()
	require.True(t, ok)
	require.Len(t, second.message.Data, 1)
}

// The wait must end with the last loop, and with the sender, and its last letters are kept.
func TestMailboxWaitEnds(t *testing.T) {
	for name, kept := range map[string]bool{"sender": true, "loop": false, "mailbox": false} {
		t.Run(name, func(t *testing.T) {
			b := newMailbox[string]()
			b.loop(1)
			b.put(letterOf("a", maxUnread), never(t))
			over := make(chan struct{})
			put := make(chan bool)
			go func() { put <- b.put(letterOf("a", 1), func(<-chan struct{}) <-chan struct{} { return over }) }()
			switch name {
			case "sender":
				close(over)
			case "loop":
				b.loop(-1)
			case "mailbox":
				b.close()
			}
			require.Equal(t, kept, <-put)
		})
	}
}

// A loop that ends must leave the letters that it has not taken to the next one.
func TestMailboxLoops(t *testing.T) {
	b := newMailbox[string]()
	for _, from := range []string{"a", "b", "c"} {
		b.put(letterOf(from, 1), never(t))
	}
	for l := range b.all() {
		require.Equal(t, "a", l.from)
		break
	}
	taken := make(chan string)
	go func() {
		for l := range b.all() {
			taken <- l.from
		}
		close(taken)
	}()
	require.Equal(t, "b", <-taken)
	require.Equal(t, "c", <-taken)
	b.close()
	_, more := <-taken
	require.False(t, more)
	clitest.Eventually(t, func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.loops == 0
	})
}

// isFull reports whether the only sender's part is full.
func (b *mailbox[S]) isFull() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	var only S
	return b.full(only)
}
