package ipc

// item is what Receive returns.
type item struct {
	msg  Message
	err  error
	next *item // in the inbox
}

// size returns about how much memory the item takes. It counts more than the data, so that
// a peer cannot fill the inbox with a million empty lines for free.
func (it *item) size() int { return 128 + cap(it.msg.Data) }

// inbox is a queue that knows its size. It is a list, so that it gives back its memory
// after a flood.
type inbox struct {
	first, last *item
	bytes       int
	handles     int
}

func (b *inbox) add(it item) {
	if b.first == nil {
		b.first = &it
	} else {
		b.last.next = &it
	}
	b.last = &it
	b.bytes += it.size()
	if it.msg.handle != nil {
		b.handles++
	}
}

// take removes the oldest item, or returns false if there is none.
func (b *inbox) take() (item, bool) {
	if b.first == nil {
		return item{}, false
	}
	it := *b.first
	if b.first = it.next; b.first == nil {
		b.last = nil
	}
	b.bytes -= it.size()
	if it.msg.handle != nil {
		b.handles--
	}
	return it, true
}

// over reports whether the inbox is larger than max. One item always fits.
func (b *inbox) over(max int) bool { return b.bytes > max && b.first != b.last }
