package ipc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/sys/unix"
)

// maxRights is how many descriptors the kernel allows in one message (SCM_MAX_FD).
const maxRights = 253

// Message is one message from the peer. If it may have a handle, the receiver must take
// the handle or Close the message.
type Message struct {
	// Data is the message as the peer wrote it, for the receiver to keep. It need not
	// be valid JSON: Decode tells.
	Data json.RawMessage
	// Cluster marks a message of Node's cluster module, see Config.Cluster.
	Cluster bool
	handle  *handle
}

// Decode stores the message in v, by the rules of encoding/json: a name that fits no field of a
// struct exactly may differ in case. It accepts what Node's JSON.parse accepts: invalid UTF-8
// becomes U+FFFD, and of duplicate keys the last wins in an any (in other values they are merged).
// Two inputs are errors here and not in Node: 1e400, which Node reads as Infinity, and nesting
// deeper than 10,000.
func (m Message) Decode(v any) error {
	if err := jsonv2.Unmarshal(m.Data, v, decoding); err != nil {
		return fmt.Errorf("message: %w", err)
	}
	return nil
}

var decoding = jsonv2.JoinOptions(asNode, jsonv2.MatchCaseInsensitiveNames(true))

// NotJSONError is a message that is not JSON. Its peer may speak another protocol.
type NotJSONError struct {
	Begin []byte // of the message, at most 32 bytes
}

func (e *NotJSONError) Error() string { return fmt.Sprintf("not JSON: %q", e.Begin) }

// Valid returns a *NotJSONError for a message that is not JSON, which no Decode accepts.
func (m Message) Valid() error {
	if jsontext.Value(m.Data).IsValid(asNode) {
		return nil
	}
	return &NotJSONError{bytes.Clone(m.Data[:min(len(m.Data), 32)])}
}

// Messages yields what the peer sends, in order, and ends when the channel does. An error
// stands for a message that was lost, and the loop may go on; or it is the last value and
// tells what closed the channel. A plain disconnect is no error. Receive documents which
// goroutine reads, and when.
func (c *Channel) Messages() iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		for {
			message, err := c.Receive()
			if err == io.EOF || !yield(message, err) {
				return
			}
		}
	}
}

// Receive waits for the next message. It returns io.EOF after the last one; every other
// error is as in Messages.
//
// The calling goroutine reads from the socket itself, unless another one does. While no
// Receive runs, messages wait in the kernel, and then the peer waits. There are two
// exceptions. While SendHandle waits, the channel reads ahead, up to Config.MaxInbox, because
// the peer's acknowledgement comes after everything that the peer wrote before. After the
// acknowledgement it reads ahead up to a quarter of MaxInbox, until the next Receive: the
// peer may itself wait for an acknowledgement. And Child.Wait reads what a dead child has
// left, up to MaxInbox.
func (c *Channel) Receive() (Message, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reading.waiting++
	c.readUntil(func() bool { return c.ended || len(c.inbox.items) > 0 })
	c.reading.waiting--
	c.startReadAhead()
	if len(c.inbox.items) == 0 {
		return Message{}, io.EOF
	}
	it := c.inbox.take()
	return it.msg, it.err
}

// readUntil reads until enough holds. If another goroutine reads already, it waits for
// that one. The caller holds c.mu.
func (c *Channel) readUntil(enough func() bool) {
	for !enough() {
		if c.reading.active {
			c.changed.Wait()
			continue
		}
		c.reading.active = true
		flags := 0
		if c.reading.nonblock {
			flags = unix.MSG_DONTWAIT
		}
		queued := len(c.replies.lines) > 0
		c.mu.Unlock()
		if queued {
			c.flushReplies()
		}
		c.readOnce(flags)
		c.mu.Lock()
		c.reading.active = false
		c.changed.Broadcast()
	}
}

// startReadAhead starts reading ahead if an acknowledgement is pending and no Receive
// would read it. The caller holds c.mu.
func (c *Channel) startReadAhead() {
	if c.sent.waiting > 0 && c.reading.waiting == 0 && !c.reading.ahead {
		c.reading.ahead = true
		go c.readAhead()
	}
}

// readAhead reads as Receive documents.
func (c *Channel) readAhead() {
	c.mu.Lock()
	c.readUntil(func() bool {
		if c.sent.waiting > 0 {
			return c.ended || c.inboxFull()
		}
		return c.ended || c.reading.waiting > 0 ||
			c.inbox.handles >= maxUndelivered || c.inbox.over(c.cfg.MaxInbox/4)
	})
	c.reading.ahead = false
	full := c.sent.waiting > 0
	c.mu.Unlock()
	if full {
		c.end(ErrInboxFull)
	}
}

// readOnce makes one system call and handles what it returns.
func (c *Channel) readOnce(flags int) {
	in := &c.incoming
	n, oobn, err := c.socket.receive(in.lines.room(), in.oob, flags)
	in.received += int64(n)
	c.keepArrived(parseRights(in.oob[:oobn]))
	if long := in.lines.split(n, c.handleLine); long != nil {
		c.end(fmt.Errorf("receive: %w: over %d bytes", long, c.cfg.MaxLine))
		return
	}
	if c.repliesDue() {
		c.flushReplies()
	}
	if n == 0 {
		c.endOfStream(err)
	}
}

// endOfStream ends the channel after a read without bytes. ECONNRESET is an end of the
// stream, too: the peer has closed with unread input. So is EAGAIN, once the peer is dead.
func (c *Channel) endOfStream(err error) {
	c.step("end", "0 bytes: end of the stream")
	if rest := c.incoming.lines.partial; rest > 0 {
		c.deliver(item{err: fmt.Errorf("receive: last line cut off after %d bytes: %w", rest, io.ErrUnexpectedEOF)})
	}
	switch err {
	case nil, unix.ECONNRESET, unix.EAGAIN:
		c.end(nil)
	default:
		c.end(fmt.Errorf("receive: %w", err))
	}
}

// handleLine handles one line, which began at this offset of the incoming stream.
func (c *Channel) handleLine(line []byte, start int64) {
	message, internal := c.parse(line)
	if internal {
		c.handleInternal(line, start, message)
		return
	}
	c.traceLine("receive", line, -1)
	c.deliver(item{msg: Message{Data: line, Cluster: message.cmd == cmdCluster}})
}

// skip delivers an error for a message that was too long, and refuses the handle that came with
// it.
func (c *Channel) skip() {
	if c.dropArrivedBefore(c.incoming.lines.start) {
		c.reply(lineNACK)
	}
	c.deliver(item{err: fmt.Errorf("receive: %w: over %d bytes", ErrSkipped, c.cfg.MaxLine)})
}

func (c *Channel) deliver(it item) {
	c.mu.Lock()
	keep := !c.ended
	if keep && c.cfg.Skip && !it.msg.Cluster && c.inbox.over(c.cfg.MaxInbox) {
		keep = false
		c.inbox.addSkipped()
	}
	if keep {
		c.inbox.add(it)
	}
	c.mu.Unlock()
	if !keep {
		it.msg.Close()
	}
}

// inboxFull reports whether nothing more may be read. With Config.Skip there is as much room again
// for what is not skipped.
func (c *Channel) inboxFull() bool {
	limit := c.cfg.MaxInbox
	if c.cfg.Skip {
		limit *= 2
	}
	return c.inbox.over(limit)
}
