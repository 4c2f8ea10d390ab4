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

// Send sends v, encoded as JSON. A json.RawMessage is passed through as it is.
// nil means that the kernel has the bytes: they arrive even if this process
// exits now. When the peer does not read, Send waits. When ctx ends first, the
// message may still arrive, whole.
func (c *Channel) Send(ctx context.Context, v any) error {
	return c.SendBatch(ctx, v)
}

// SendBatch sends each of vs as a message of its own, with few system calls.
// If one of them cannot be sent, none is.
func (c *Channel) SendBatch(ctx context.Context, vs ...any) error {
	out := buffers.Get().(*bytes.Buffer)
	defer recycle(out)
	for _, v := range vs {
		if err := c.encode(out, v); err != nil {
			return err
		}
	}
	if err := c.acquire(ctx); err != nil {
		return err
	}
	return c.push(ctx, out.Bytes(), nil)
}

// buffers are for encoding: a fresh one for each message would cost more than
// the rest of Send.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func recycle(b *bytes.Buffer) {
	const kept = 4 << 20 // larger ones are not worth their memory
	if b.Cap() <= kept {
		b.Reset()
		buffers.Put(b)
	}
}

// encode appends v to out, as one line.
func (c *Channel) encode(out *bytes.Buffer, v any) error {
	start := out.Len()
	if err := encodeJSON(out, v); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	line := out.Bytes()[start:]
	if len(line) > c.cfg.MaxLine {
		return fmt.Errorf("send: %w: %d bytes", ErrLineTooLong, len(line))
	}
	if _, reserved := c.parse(line); reserved {
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
	if bytes.IndexByte(value, '\n') >= 0 { // pretty-printed
		value = value.Clone()
		if err := value.Compact(asNode); err != nil {
			return err
		}
	}
	out.Write(value)
	return nil
}

// acquire takes the right to write.
func (c *Channel) acquire(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case c.writing <- struct{}{}:
		return nil
	case <-c.closed:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// release gives the right to write back, after sending the answers that the
// reader has left meanwhile. It never waits.
func (c *Channel) release() {
	for {
		answers := c.takeAnswers()
		c.traceLines("send", answers, -1)
		n, err := c.socket.send(answers, nil, unix.MSG_DONTWAIT)
		if err == unix.EAGAIN {
			go func() {
				c.socket.send(answers[n:], nil, 0)
				c.release()
			}()
			return
		}
		<-c.writing
		if !c.wantsFlush() {
			return
		}
	}
}

// push writes whole lines, with the handle of f if there is one. The caller has
// the right to write; push gives it back, at once or, when ctx ends first, as
// soon as the last line is whole. out is the caller's again when push returns.
func (c *Channel) push(ctx context.Context, out []byte, f *flight) error {
	c.traceLines("send", out, f.descriptor())
	c.written += int64(len(out))
	if len(out) > maxShortLine {
		c.longLine = c.written
	}
	rights := f.rights()
	n, err := c.socket.send(out, rights, unix.MSG_DONTWAIT)
	if err != unix.EAGAIN {
		return c.sent(f, err)
	}
	if n > 0 {
		rights = nil // they travel with the first byte
	}
	if ctx.Done() == nil {
		_, err = c.socket.send(out[n:], rights, 0)
		return c.sent(f, err)
	}
	rest, done := bytes.Clone(out[n:]), make(chan error, 1)
	go func() {
		_, err := c.socket.send(rest, rights, 0)
		done <- c.sent(f, err)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sent ends a push.
func (c *Channel) sent(f *flight, err error) error {
	if f != nil {
		if err != nil {
			c.forget(f)
		}
		f.unref()
	}
	c.release()
	switch err {
	case nil:
		return nil
	case unix.EPIPE, unix.ECONNRESET:
		return ErrClosed
	}
	return fmt.Errorf("send: %w", err)
}
