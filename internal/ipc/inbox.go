package ipc

import "fmt"

var errInboxSkipped = fmt.Errorf("receive: %w: inbox full", ErrSkipped)

// item is what Receive returns.
type item struct {
	msg Message
	err error
}

// size returns about how much memory the item takes. It counts more than the data, so that
// a peer cannot fill the inbox with a million empty lines for free.
func (it item) size() int { return 128 + cap(it.msg.Data) }

// inbox is a queue that knows its size.
type inbox struct {
	items   []item
	bytes   int
	handles int
}

func (b *inbox) add(it item) {
	b.items = append(b.items, it)
	b.bytes += it.size()
	if it.msg.handle != nil {
		b.handles++
	}
}

// addSkipped adds an error for messages that were skipped, unless it is the last item already.
func (b *inbox) addSkipped() {
	if last := b.items[len(b.items)-1]; last.err != errInboxSkipped {
		b.add(item{err: errInboxSkipped})
	}
}

// take removes the oldest item of an inbox that is not empty. With the last item it gives
// back the memory that a flood took.
func (b *inbox) take() item {
	it := b.items[0]
	b.items[0] = item{} // frees the message once the receiver drops it
	if b.items = b.items[1:]; len(b.items) == 0 {
		b.items = nil
	}
	b.bytes -= it.size()
	if it.msg.handle != nil {
		b.handles--
	}
	return it
}

// over reports whether the inbox is larger than max. One item always fits.
func (b *inbox) over(max int) bool { return b.bytes > max && len(b.items) > 1 }
