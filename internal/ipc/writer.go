package ipc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/sys/unix"
)

// Send sends v, encoded as JSON; a json.RawMessage is sent as it is. nil means that the
// kernel has the bytes, so they arrive even if this process exits now. While the peer does
// not read, Send waits. If ctx ends first, the message may still arrive, complete.
func (c *Channel) Send(ctx context.Context, v any) error {
	return c.SendBatch(ctx, v)
}

// SendBatch sends each of vs as a message of its own, with few system calls. If one of
// them cannot be encoded, it sends none.
func (c *Channel) SendBatch(ctx context.Context, vs ...any) error {
	out := buffers.Get().(*bytes.Buffer)
	defer recycle(out)
	for _, v := range vs {
		if err := c.encode(out, v); err != nil {
			return err
		}
	}
	if err := c.lockWriting(ctx); err != nil {
		return err
	}
	return c.write(ctx, out.Bytes(), nil)
}

// buffers are for encoding: a new one for each message would cost more than the rest of
// Send.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func recycle(b *bytes.Buffer) {
	if b.Cap() <= 4<<20 { // a larger one is not worth its memory
		b.Reset()
		buffers.Put(b)
	}
}

// ClusterMessage is sent as a message of Node's cluster module, with the cmd NODE_CLUSTER, on a
// channel with Config.Cluster.
type ClusterMessage struct{ Message any }

// encode appends v to out, as one line.
func (c *Channel) encode(out *bytes.Buffer, v any) error {
	start := out.Len()
	own, cluster := v.(ClusterMessage)
	if cluster {
		v = own.Message
	}
	if err := encodeJSON(out, v); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	line := out.Bytes()[start:]
	if len(line) > c.cfg.MaxLine {
		return fmt.Errorf("send: %w: %d bytes", ErrLineTooLong, len(line))
	}
	if m, reserved := c.parse(line); reserved || (m.cmd == cmdCluster) != cluster {
		return fmt.Errorf("send: %w", ErrReserved)
	}
	return out.WriteByte('\n')
}

func encodeJSON(out *bytes.Buffer, v any) error {
	raw, ok := v.(json.RawMessage)
	if !ok {
		return jsonv2.MarshalWrite(out, v, asNode)
	}
	value := jsontext.Value(raw)
	if !value.IsValid(asNode) {
		return errors.New("raw message is not one JSON value")
	}
	if bytes.IndexByte(value, '\n') >= 0 { // indented
		value = value.Clone()
		if err := value.Compact(asNode); err != nil {
			return err
		}
	}
	out.Write(value)
	return nil
}

// lockWriting takes the right to write.
func (c *Channel) lockWriting(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case c.outgoing.writing <- struct{}{}:
		return nil
	case <-c.closed:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// unlockWriting gives up the right to write, after the replies that the reader has queued
// meanwhile. It never blocks: if the kernel is full, a goroutine goes on. More replies may be
// queued before the right is given up, and then it is taken again.
func (c *Channel) unlockWriting() {
	for locked := true; locked; locked = c.lockForReplies() {
		replies := c.takeReplies()
		c.countWritten(len(replies))
		c.traceLines("send", replies, -1)
		n, err := c.socket.send(replies, nil, unix.MSG_DONTWAIT)
		if err == unix.EAGAIN {
			go func() {
				c.socket.send(replies[n:], nil, 0)
				c.unlockWriting()
			}()
			return
		}
		<-c.outgoing.writing
	}
}

// write writes complete lines, with the handle h if it is not nil. The caller has the
// right to write. write gives it up, at once or, if ctx ends first, when the last line is
// complete. When write returns, out belongs to the caller again.
func (c *Channel) write(ctx context.Context, out []byte, h *sentHandle) error {
	fd, rights := -1, []byte(nil)
	if h != nil {
		fd, rights = h.fd, unix.UnixRights(h.fd)
	} else {
		out = c.withReplies(out)
	}
	c.traceLines("send", out, fd)
	c.countWritten(len(out))
	n, err := c.socket.send(out, rights, unix.MSG_DONTWAIT)
	if err != unix.EAGAIN {
		return c.finishWrite(h, err)
	}
	if n > 0 {
		rights = nil // the kernel takes them with the first byte
	}
	if ctx.Done() == nil {
		_, err = c.socket.send(out[n:], rights, 0)
		return c.finishWrite(h, err)
	}
	rest, done := bytes.Clone(out[n:]), make(chan error, 1)
	go func() {
		_, err := c.socket.send(rest, rights, 0)
		done <- c.finishWrite(h, err)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// countWritten counts n bytes of lines that one call writes.
func (c *Channel) countWritten(n int) {
	c.outgoing.written += int64(n)
	if n > maxShortLine {
		c.outgoing.longEnd = c.outgoing.written
	}
}

// finishWrite ends a write, and returns its error as the caller of Send gets it.
func (c *Channel) finishWrite(h *sentHandle, err error) error {
	if h != nil {
		if err != nil {
			c.forget(h)
		}
		h.unref()
	}
	c.unlockWriting()
	switch err {
	case nil:
		return nil
	case unix.EPIPE, unix.ECONNRESET:
		return ErrClosed
	}
	return fmt.Errorf("send: %w", err)
}
