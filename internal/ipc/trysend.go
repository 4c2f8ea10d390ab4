package ipc

import (
	"bytes"
	"slices"

	"golang.org/x/sys/unix"
)

// TrySend sends v as Send does, but never waits: if it would have to, it sends nothing and
// returns false. It would have to while the peer does not read, and while another goroutine
// writes.
func (c *Channel) TrySend(v any) (sent bool, err error) {
	out := buffers.Get().(*bytes.Buffer)
	defer recycle(out)
	if err := c.encode(out, v); err != nil {
		return false, err
	}
	return c.tryWrite(out.Bytes(), nil)
}

// TrySendConn sends v with a connection, as SendHandle does, but never waits, as TrySend, and not
// for the acknowledgement either: true means that the kernel has both. fd is a connection over TCP
// or a Unix socket, with O_NONBLOCK set. It belongs to the caller, and on macOS, which may discard a
// socket that no process holds, it must stay open until the acknowledgement.
//
// If the peer refuses the connection, refused is called, from the goroutine that reads the channel.
// It is not called if the channel ends before the peer has answered. Nothing reads ahead for the
// answer: some goroutine must call Receive.
func (c *Channel) TrySendConn(v any, fd int, refused func()) (sent bool, err error) {
	message := buffers.Get().(*bytes.Buffer)
	defer recycle(message)
	if err := c.encode(message, v); err != nil {
		return false, err
	}
	h := &sentHandle{fd: fd, kind: KindConn, refused: refused}
	return c.tryWrite(h.line(v, bytes.TrimSpace(message.Bytes())), h)
}

// tryWrite writes complete lines, with the handle h if it is not nil, or reports that it would
// have to wait.
func (c *Channel) tryWrite(out []byte, h *sentHandle) (written bool, err error) {
	select {
	case <-c.closed:
		return false, ErrClosed
	default:
	}
	select {
	case c.outgoing.writing <- struct{}{}:
	default:
		return false, nil
	}
	all, fd, rights := out, -1, []byte(nil)
	if h == nil {
		all = c.withReplies(out)
	} else {
		if _, ok := c.reserve(h, len(out)); !ok {
			c.unlockWriting()
			return false, nil
		}
		fd, rights = h.fd, unix.UnixRights(h.fd)
	}
	n, err := c.sendTraced(all, fd, rights)
	if n == 0 && err == unix.EAGAIN {
		c.undo(h, all[:len(all)-len(out)])
		return false, nil
	}
	c.countWritten(len(all))
	if err == unix.EAGAIN { // the kernel has the beginning, and with it the handle
		rest := bytes.Clone(all[n:])
		go func() {
			_, err := c.socket.send(rest, nil, 0)
			c.finishWrite(h, err)
		}()
		return true, nil
	}
	err = c.finishWrite(h, err)
	return err == nil, err
}

// sendTraced sends what the kernel takes, and traces the lines if it takes any of them: before what
// the peer answers, and without a line that is not sent.
func (c *Channel) sendTraced(lines []byte, fd int, rights []byte) (n int, err error) {
	if c.cfg.Trace == nil {
		return c.socket.send(lines, rights, unix.MSG_DONTWAIT)
	}
	c.tracing.Lock()
	defer c.tracing.Unlock()
	n, err = c.socket.send(lines, rights, unix.MSG_DONTWAIT)
	if n > 0 {
		for line := range bytes.Lines(lines) {
			c.cfg.Trace(lineEvent("send", bytes.TrimSuffix(line, []byte("\n")), fd))
		}
	}
	return n, err
}

// undo ends a write of which the kernel has taken nothing. replies were to be written before it.
func (c *Channel) undo(h *sentHandle, replies []byte) {
	if h != nil {
		c.forget(h)
	}
	c.mu.Lock()
	c.replies.lines = append(slices.Clip(replies), c.replies.lines...)
	c.mu.Unlock()
	c.unlockWriting()
}
