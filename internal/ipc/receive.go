package ipc

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"

	jsonv2 "github.com/go-json-experiment/json"
	"golang.org/x/sys/unix"
)

const (
	readSize  = 256 << 10 // all that a socket of the usual size holds
	maxRights = 253       // descriptors the kernel allows in one message (SCM_MAX_FD)
)

// Message is one message of the peer. If a handle may have come with it, take
// that or Close the message.
type Message struct {
	// Data is the message as the peer wrote it, for the receiver to keep.
	// Whether it is JSON at all shows in Decode.
	Data   json.RawMessage
	handle *handle
}

// Decode stores the message in v, by the rules of encoding/json/v2 (the names of
// fields are case-sensitive), and accepts what Node's JSON.parse does: invalid
// UTF-8 becomes U+FFFD, and of duplicate keys the last wins (into an any; other
// values are merged). Errors here and not in Node are 1e400, which is Infinity
// there, and nesting deeper than 10,000.
func (m Message) Decode(v any) error {
	if err := jsonv2.Unmarshal(m.Data, v, asNode); err != nil {
		return fmt.Errorf("message: %w", err)
	}
	return nil
}

// Messages yields what the peer sends, in order, and ends when the channel
// does. An error is a message that got lost (the loop may go on) or, as the
// last thing, what closed the channel; a plain disconnect is no error. Whoever
// ranges does the reading: while the loop's body is busy the peer waits, or after
// a SendHandle may fill a quarter of Config.MaxInbox first.
func (c *Channel) Messages() iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		for {
			it, ok := c.next()
			if !ok || !yield(it.msg, it.err) {
				return
			}
		}
	}
}

func (c *Channel) next() (item, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ranging++
	c.readUntil(func() bool { return c.ended || c.inbox.first != nil })
	c.ranging--
	c.seeToReading()
	return c.inbox.take()
}

// readUntil reads until enough holds, or lets another goroutine do it if one is
// at it. The caller has c.mu.
func (c *Channel) readUntil(enough func() bool) {
	for !enough() {
		if c.reading {
			c.changed.Wait()
			continue
		}
		c.reading = true
		flags := 0
		if c.noWait {
			flags = unix.MSG_DONTWAIT
		}
		c.mu.Unlock()
		c.fill(flags)
		c.mu.Lock()
		c.reading = false
		c.changed.Broadcast()
	}
}

// readAhead reads while nobody ranges over Messages and a sender of ours waits
// for an acknowledgement. It goes on after that, within bounds: the peer may wait
// for one, too, and only who reads can give it.
func (c *Channel) readAhead() {
	c.mu.Lock()
	c.readUntil(func() bool {
		if c.awaiting > 0 {
			return c.ended || c.inbox.over(c.cfg.MaxInbox)
		}
		return c.ended || c.ranging > 0 || c.inbox.handles >= maxUndelivered || c.inbox.over(c.cfg.MaxInbox/4)
	})
	c.ahead = false
	full := c.awaiting > 0
	c.mu.Unlock()
	if full {
		c.end(ErrInboxFull)
	}
}

// fill makes one system call and takes in what it brought.
func (c *Channel) fill(flags int) {
	n, oobn, err := c.socket.receive(c.buf, c.oob, flags)
	c.received += int64(n)
	c.keepPassed(parseRights(c.oob[:oobn]))
	if long := c.decoder.cut(c.buf[:n], c.takeLine); long != nil {
		c.end(fmt.Errorf("receive: %w: over %d bytes", long, c.cfg.MaxLine))
		return
	}
	c.flushAnswers()
	if n > 0 {
		return
	}
	// End of the stream. ECONNRESET is one, too: the peer closed with unread
	// input. So is EAGAIN, once the peer is dead.
	c.step("end", "0 bytes: end of the stream")
	if rest := len(c.decoder.partial); rest > 0 {
		c.deliver(item{err: fmt.Errorf("receive: last line cut off after %d bytes: %w", rest, io.ErrUnexpectedEOF)})
	}
	switch err {
	case nil, unix.ECONNRESET, unix.EAGAIN:
		c.end(nil)
	default:
		c.end(fmt.Errorf("receive: %w", err))
	}
}

// takeLine takes in one line that began at start.
func (c *Channel) takeLine(line []byte, start int64) {
	if message, ok := c.parse(line); ok {
		c.takeInternal(line, start, message)
		return
	}
	c.traceLine("receive", line, -1)
	c.deliver(item{msg: Message{Data: line}})
}

func (c *Channel) deliver(it item) {
	c.mu.Lock()
	wanted := !c.ended
	if wanted {
		c.inbox.add(it)
	}
	c.mu.Unlock()
	if !wanted {
		it.msg.Close()
	}
}

// parseRights returns the descriptors in a control message.
func parseRights(oob []byte) (descriptors []int) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err == nil {
			closeOnExec(fds)
			descriptors = append(descriptors, fds...)
		}
	}
	return descriptors
}
