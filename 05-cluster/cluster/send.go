package cluster

import (
	"context"
	"errors"
	"iter"
	"syscall"
	"time"

	"playing-with-processes/internal/ipc"
	"playing-with-processes/internal/supervise"
)

// ErrNotWorker: no primary has forked this process.
var ErrNotWorker = errors.New("this process is not a worker")

// Send sends the primary a message: process.send. It waits as [Worker.Send] does.
func Send(ctx context.Context, v any) error {
	c, err := worker()
	if err != nil {
		return err
	}
	return c.channel.Send(ctx, v)
}

// SendHandle sends the primary a message with a socket, as [Worker.SendHandle] does.
func SendHandle(ctx context.Context, v any, socket syscall.Conn) error {
	c, err := worker()
	if err != nil {
		return err
	}
	return c.channel.SendHandle(ctx, v, socket)
}

// Messages yields what the primary sends this worker, in order: process.on('message'). The
// receiver must take the handle of a message, or Close it. An error stands for a message that was
// lost. The loop ends when the primary is gone; in a process that is not a worker, at once.
//
// If the loop falls 1 MiB behind, the channel is not read: the primary's sends wait, and so do new
// connections, and after Settings.AcceptTimeout the primary takes the worker for frozen. Without a
// loop, up to 1 MiB is kept, and later messages are lost.
func Messages() iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		c, err := worker()
		if err != nil {
			return
		}
		for l := range c.mailbox.all() {
			if !yield(l.message, l.err) {
				return
			}
		}
	}
}

// WorkerID returns the worker's number, cluster.worker.id, which no other worker of its primary
// ever has; or 0 in a process that is not a worker.
func WorkerID() int {
	c, err := worker()
	if err != nil {
		return 0
	}
	return c.id
}

// NoSlot is the slot of a worker that has none.
const NoSlot = supervise.NoSlot

// Slot returns the worker's slot: one of the numbers from 0 to the number of workers less one. No
// other process of its primary has it at the same time, and after the end of this one a replacement
// gets it, so it is the place for what must run once: `if cluster.Slot() == 0`.
//
// It is NoSlot while a worker that this one follows still runs: in a reload, until the old worker
// has finished its requests and ended; and in a process that is not a worker.
func Slot() int {
	c, err := worker()
	if err != nil {
		return NoSlot
	}
	return int(c.slot.Load())
}

// worker returns the connection to the primary.
func worker() (*primaryConn, error) {
	c, err := self()
	if c == nil && err == nil {
		err = ErrNotWorker
	}
	return c, err
}

// receive keeps a message of the primary, or an error in its place, for Messages.
func (c *primaryConn) receive(m ipc.Message, err error) {
	kept := c.mailbox.put(letter[struct{}]{message: m.Move(), err: err}, c.orphaned)
	if !kept && !c.unread {
		c.mailbox.add(letter[struct{}]{err: ErrUnread})
	}
	c.unread = !kept
}

// orphanPoll is how often a worker that does not read its channel looks for its primary.
const orphanPoll = 200 * time.Millisecond

// orphaned returns a channel that is closed if the primary ends before done is closed. While the
// channel to the primary is not read, nothing else tells.
func (c *primaryConn) orphaned(done <-chan struct{}) <-chan struct{} {
	gone := make(chan struct{})
	go func() {
		for !c.channel.PeerClosed() {
			select {
			case <-time.After(orphanPoll):
			case <-done:
				return
			}
		}
		close(gone)
	}()
	return gone
}
