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

// Broadcast sends a message to all workers that have not ended, each for itself: a worker that
// does not read holds up no other, but Broadcast itself until ctx ends. It returns the errors,
// but none for a worker that has disconnected.
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
// ends after Shutdown has returned.
//
// If the loop falls behind, workers that send much wait. Without a loop, and after one, up to
// 1 MiB of each worker's messages waits, until the worker has ended; what comes then is lost. A message that is lost, also
// because it is longer than Settings.MaxMessage or its handle has not arrived, is a MessageLost
// event.
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
	stalled := func() <-chan struct{} {
		w.stalled.Store(true)
		return w.process.Done()
	}
	kept := w.primary.mailbox.put(letter[*Worker]{from: w, message: m.Move()}, stalled)
	w.stalled.Store(false)
	if !kept {
		w.messageLost(ErrUnread)
	}
}

// messageLost counts a message that was lost, and reports the first one.
func (w *Worker) messageLost(err error) {
	w.primary.mu.Lock()
	defer w.primary.mu.Unlock()
	w.lost++
	if w.lost == 1 {
		w.primary.report(MessageLost{w, err})
	}
}
