package cluster

import (
	"context"
	"errors"
	"iter"
	"sync"
	"syscall"

	"playing-with-processes/internal/ipc"
)

// Send sends the worker a message: worker.send. nil means that the kernel has the bytes; while
// the worker does not read, Send waits. If ctx ends first, the message may still arrive,
// complete. A program that answers messages in a loop should give ctx a deadline, so that one
// worker that does not read cannot hold up the loop.
//
// A Node worker receives it with process.on('message'), and a Go worker with [Messages].
func (w *Worker) Send(ctx context.Context, v any) error { return w.process.Send(ctx, v) }

// SendHandle sends the worker a message with a socket: a listener, a connection or a UDP socket of
// package net. Both processes have it then, and the caller closes its own. nil means that the
// worker has it.
func (w *Worker) SendHandle(ctx context.Context, v any, socket syscall.Conn) error {
	return w.process.SendHandle(ctx, v, socket)
}

// Broadcast sends v to every worker that has not ended, concurrently. A worker that does not read
// delays only Broadcast itself, until ctx ends. Broadcast returns the errors; a worker that has
// disconnected causes none.
func (p *Primary) Broadcast(ctx context.Context, v any) error {
	workers := p.Workers()
	errs := make([]error, len(workers))
	var sending sync.WaitGroup
	for i, w := range workers {
		sending.Go(func() {
			if err := w.Send(ctx, v); !errors.Is(err, ipc.ErrClosed) {
				errs[i] = err
			}
		})
	}
	sending.Wait()
	return errors.Join(errs...)
}

// Messages yields what the workers send, each worker's messages in their order:
// cluster.on('message'). The receiver must take the handle of a message, or Close it. The loop
// ends when all workers have ended after Shutdown, and all of their messages have been handled.
//
// If the loop falls behind, workers that send much wait. Without a loop, up to 1 MiB of each
// worker's messages is kept until the worker ends, and later messages are lost. So is a message
// that is longer than Settings.MaxMessage, or whose handle has not arrived; and one of a worker
// that sends without end, while SendHandle waits for that worker. The first loss of each worker is
// a MessageLost event.
//
// Events and messages are not in one order, but Disconnect comes after the last message.
func (p *Primary) Messages() iter.Seq2[*Worker, Message] {
	return func(yield func(*Worker, Message) bool) {
		for l := range p.mailbox.all() {
			if !yield(l.from, l.message) {
				return
			}
		}
	}
}

// receive keeps a message for Messages. While it waits for room, the worker's channel is not read,
// and it is not the worker's fault that its connections stay pending.
func (w *Worker) receive(m ipc.Message) {
	stalled := func(<-chan struct{}) <-chan struct{} {
		w.stalled.Store(true)
		return w.process.Done()
	}
	kept := w.primary.mailbox.put(letter[*Worker]{from: w, message: m.Move()}, stalled)
	w.stalled.Store(false)
	if !kept {
		w.messageLost(ErrUnread)
	}
}

// messageLost counts a message that was lost.
func (w *Worker) messageLost(err error) {
	w.primary.mu.Lock()
	defer w.primary.mu.Unlock()
	w.messagesLost(1, err)
}

// messagesLost counts messages that were lost, and reports the first ones. The caller holds the
// primary's mu.
func (w *Worker) messagesLost(n int, err error) {
	if w.lost == 0 {
		w.primary.report(MessageLost{w, err})
	}
	w.lost += n
}
