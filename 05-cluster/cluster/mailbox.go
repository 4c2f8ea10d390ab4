package cluster

import (
	"errors"
	"iter"
	"slices"
	"sync"

	"playing-with-processes/internal/ipc"
)

const (
	// maxUnread is how many bytes of a sender's messages wait to be read. One message always
	// fits.
	maxUnread = 1 << 20
	// maxUnreadHandles keeps a sender from using up this process's descriptors.
	maxUnreadHandles = 64
	// maxUnreadOfAll is how many times as much waits of all senders, also of those that have
	// ended.
	maxUnreadOfAll = 64
)

// ErrUnread: messages were lost, because nothing read them.
var ErrUnread = errors.New("nothing reads the messages")

// mailbox is where a program's messages wait between the goroutine that reads their channel and
// a loop over Messages. If a sender's part is full, its channel is not read until the loop has
// caught up, and so the sender waits. If there is no loop, further messages are lost.
type mailbox[S comparable] struct {
	mu      sync.Mutex
	changed sync.Cond
	letters []letter[S]
	unread  map[S]unread
	total   unread
	loops   int // over Messages
	closed  bool
}

// letter is a message, or an error in its place.
type letter[S comparable] struct {
	from    S
	message ipc.Message
	err     error
	handle  bool // the message came with one
}

// unread is how much a mailbox has of a sender that was not handled yet.
type unread struct{ bytes, handles int }

func (u *unread) add(bytes, handles int) {
	u.bytes += bytes
	u.handles += handles
}

// full reports whether u is as much as this many senders may have.
func (u unread) full(senders int) bool {
	return u.bytes >= senders*maxUnread || u.handles >= senders*maxUnreadHandles
}

func newMailbox[S comparable]() *mailbox[S] {
	b := &mailbox[S]{unread: map[S]unread{}}
	b.changed.L = &b.mu
	return b
}

// put adds a letter, and reports whether it did; otherwise it closes the letter's message. Before
// it waits for room, it calls stalled, which may return a channel that is closed when it must not
// wait any longer; done is closed when it does not wait any longer.
func (b *mailbox[S]) put(l letter[S], stalled func(done <-chan struct{}) (over <-chan struct{})) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.full(l.from) && b.loops > 0 {
		b.awaitRoom(l.from, stalled)
	}
	if b.closed || b.full(l.from) && b.loops == 0 || b.total.full(maxUnreadOfAll) {
		l.message.Close()
		return false
	}
	b.append(l)
	return true
}

// add adds a letter even if there is no room.
func (b *mailbox[S]) add(l letter[S]) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.append(l)
}

func (b *mailbox[S]) append(l letter[S]) {
	l.handle = l.message.Kind() != ipc.NoHandle
	b.letters = append(b.letters, l)
	b.count(l, 1)
	b.changed.Broadcast()
}

func (b *mailbox[S]) full(from S) bool {
	return b.unread[from].full(1) || b.total.full(maxUnreadOfAll)
}

// awaitRoom waits for room, or until it must not wait any longer. The caller holds b.mu.
func (b *mailbox[S]) awaitRoom(from S, stalled func(done <-chan struct{}) (over <-chan struct{})) {
	done := make(chan struct{})
	defer close(done)
	over := stalled(done)
	go func() {
		select {
		case <-over:
			b.mu.Lock()
			defer b.mu.Unlock()
			b.changed.Broadcast()
		case <-done:
		}
	}()
	for b.full(from) && b.loops > 0 && !b.closed && !isClosed(over) {
		b.changed.Wait()
	}
}

// count counts a letter that is added, or with -1 has been handled.
func (b *mailbox[S]) count(l letter[S], n int) {
	bytes := n * (len(l.message.Data) + 128) // an empty message is not free
	handles := 0
	if l.handle {
		handles = n
	}
	b.total.add(bytes, handles)
	u := b.unread[l.from]
	u.add(bytes, handles)
	b.unread[l.from] = u
	if u == (unread{}) {
		delete(b.unread, l.from)
	}
}

// take waits for the next letter. ok is false after the last one.
func (b *mailbox[S]) take() (l letter[S], ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.letters) == 0 && !b.closed {
		b.changed.Wait()
	}
	if len(b.letters) == 0 {
		return l, false
	}
	l, b.letters[0] = b.letters[0], letter[S]{}
	if b.letters = b.letters[1:]; len(b.letters) == 0 {
		b.letters = nil // gives back the memory that many took
	}
	return l, true
}

// handled counts a letter that was taken as handled.
func (b *mailbox[S]) handled(l letter[S]) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count(l, -1)
	b.changed.Broadcast()
}

// all yields the letters. If several loops run, each letter goes to one of them.
func (b *mailbox[S]) all() iter.Seq[letter[S]] {
	return func(yield func(letter[S]) bool) {
		b.loop(1)
		defer b.loop(-1)
		for {
			l, ok := b.take()
			if !ok {
				return
			}
			more := yield(l)
			b.handled(l)
			if !more {
				return
			}
		}
	}
}

// awaitHandled waits until no letter of a sender is left, or until there is no loop to take them.
func (b *mailbox[S]) awaitHandled(from S) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.awaited(from) && !b.closed {
		b.changed.Wait()
	}
}

// hasUnread reports whether letters of a sender are left that a loop will take.
func (b *mailbox[S]) hasUnread(from S) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.awaited(from)
}

// awaited is hasUnread for a caller that holds b.mu.
func (b *mailbox[S]) awaited(from S) bool { return b.loops > 0 && b.unread[from] != (unread{}) }

// forget drops the letters of a sender that has ended, unless a loop will take them, and returns how
// many there were. Otherwise each replacement of a worker would add to them.
func (b *mailbox[S]) forget(from S) (dropped int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.loops > 0 {
		return 0
	}
	before := len(b.letters)
	b.letters = slices.DeleteFunc(b.letters, func(l letter[S]) bool {
		if l.from != from {
			return false
		}
		b.count(l, -1)
		l.message.Close()
		return true
	})
	return before - len(b.letters)
}

func (b *mailbox[S]) loop(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.loops += n
	b.changed.Broadcast()
}

// close lets a loop end after the last letter.
func (b *mailbox[S]) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.changed.Broadcast()
}
