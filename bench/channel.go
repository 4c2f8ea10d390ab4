package main

import (
	"context"
	"errors"
	"net"
	"time"

	"playing-with-processes/internal/ipc"
)

// measureFor is how long a figure is measured, after a warm-up of a tenth.
const measureFor = 500 * time.Millisecond

// message is 20 bytes on the wire, with its newline.
var message = map[string]int{"number": 12345678}

// rate repeats step for measureFor and returns the repetitions a second.
func rate(step func() error) (float64, error) {
	repeat := func(period time.Duration) (n int, took time.Duration, err error) {
		start := time.Now()
		for took < period {
			if err := step(); err != nil {
				return 0, 0, err
			}
			n++
			took = time.Since(start)
		}
		return n, took, nil
	}
	if _, _, err := repeat(measureFor / 10); err != nil {
		return 0, err
	}
	n, took, err := repeat(measureFor)
	return float64(n) / took.Seconds(), err
}

// withChild forks this program in a role, and ends it when f returns.
func withChild(role string, f func(*ipc.Child) (float64, error)) (float64, error) {
	child, err := ipc.Fork(ipc.Self(role))
	if err != nil {
		return 0, err
	}
	value, err := f(child)
	child.Disconnect()
	_, waitErr := child.Wait()
	return value, errors.Join(err, waitErr)
}

// roundTrip sends a message, and waits for the child to send it back. In microseconds.
func roundTrip() (float64, error) {
	return withChild("echo", func(child *ipc.Child) (float64, error) {
		n, start := 0, time.Now()
		if err := child.Send(context.Background(), message); err != nil {
			return 0, err
		}
		for m, err := range child.Messages() {
			if err != nil {
				return 0, err
			}
			var value map[string]int
			if err := m.Decode(&value); err != nil {
				return 0, err
			}
			if n++; time.Since(start) > measureFor {
				return float64(time.Since(start).Microseconds()) / float64(n), nil
			}
			if err := child.Send(context.Background(), value); err != nil {
				return 0, err
			}
		}
		return 0, ipc.ErrClosed
	})
}

func echo() error {
	parent, err := ipc.Parent()
	if err != nil {
		return err
	}
	for m, err := range parent.Messages() {
		var value map[string]int
		if err == nil {
			err = m.Decode(&value)
		}
		if err == nil {
			err = parent.Send(context.Background(), value)
		}
		if err != nil {
			return ignoreClosed(err)
		}
	}
	return nil
}

// oneWay sends messages to a child that decodes them, in batches of this size. The child
// answers every 64th batch, so what counts is what it has read. In messages a second.
func oneWay(batch int) (float64, error) {
	const window = 64
	return withChild("count", func(child *ipc.Child) (float64, error) {
		var values []any
		for range batch {
			values = append(values, message)
		}
		next := receiver(child.Channel)
		if err := child.Send(context.Background(), window*batch); err != nil {
			return 0, err
		}
		perSecond, err := rate(func() error {
			for range window {
				if err := child.SendBatch(context.Background(), values...); err != nil {
					return err
				}
			}
			return next()
		})
		return perSecond * float64(window*batch), err
	})
}

// receiver waits for one message at a time.
func receiver(channel *ipc.Channel) (next func() error) {
	return func() error {
		for _, err := range channel.Messages() {
			return err
		}
		return ipc.ErrClosed
	}
}

// count takes a number, and then says when it has decoded so many messages, each time.
func count() error {
	parent, err := ipc.Parent()
	if err != nil {
		return err
	}
	every, n := 0, 0
	for m, err := range parent.Messages() {
		if err != nil {
			return err
		}
		if every == 0 {
			if err := m.Decode(&every); err != nil {
				return err
			}
			continue
		}
		var value map[string]int
		if err := m.Decode(&value); err != nil {
			return err
		}
		if n++; n%every == 0 {
			if err := parent.Send(context.Background(), n); err != nil {
				return ignoreClosed(err)
			}
		}
	}
	return nil
}

// handles sends a connection, waits for the acknowledgement, and so on. In handles a second.
func handles() (float64, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	return withChild("take", func(child *ipc.Child) (float64, error) {
		return rate(func() error {
			return child.SendHandle(context.Background(), "conn", conn.(*net.TCPConn))
		})
	})
}

// take takes each connection that comes, and closes it.
func take() error {
	parent, err := ipc.Parent()
	if err != nil {
		return err
	}
	for m, err := range parent.Messages() {
		if err != nil {
			return err
		}
		conn, err := m.Conn()
		if err != nil {
			return err
		}
		conn.Close()
	}
	return nil
}

// forkToFirstMessage is the time from Fork to the child's first message. In milliseconds.
func forkToFirstMessage() (float64, error) {
	var total time.Duration
	n := 0
	for begun := time.Now(); time.Since(begun) < 2*measureFor; n++ {
		start := time.Now()
		_, err := withChild("greet", func(child *ipc.Child) (float64, error) {
			err := receiver(child.Channel)()
			total += time.Since(start)
			return 0, err
		})
		if err != nil {
			return 0, err
		}
	}
	return float64(total.Microseconds()) / 1000 / float64(n), nil
}

func greet() error {
	parent, err := ipc.Parent()
	if err != nil {
		return err
	}
	return parent.Send(context.Background(), "hello")
}

// ignoreClosed is nil for a channel that the parent has closed, as it does in the end.
func ignoreClosed(err error) error {
	if errors.Is(err, ipc.ErrClosed) {
		return nil
	}
	return err
}
