package bench

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"playing-with-processes/internal/ipc"
)

// message is 20 bytes on the wire, with its newline.
var message = map[string]int{"number": 12345678}

// startChild forks this binary in a role, and ends it with the benchmark.
func startChild(b *testing.B, role string) *ipc.Child {
	b.Helper()
	child, err := ipc.Fork(ipc.Self(role))
	fatal(b, err)
	b.Cleanup(func() {
		child.Disconnect()
		child.Wait()
	})
	return child
}

func fatal(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// receive decodes the next message.
func receive(channel *ipc.Channel, v any) error {
	for m, err := range channel.Messages() {
		if err != nil {
			return err
		}
		return m.Decode(v)
	}
	return ipc.ErrClosed
}

// A round trip is a message to the child, which sends it back. Under taskset -c 0 both run on
// one CPU.
func BenchmarkRoundTrip(b *testing.B) {
	child := startChild(b, "echo")
	var value map[string]int
	for b.Loop() {
		fatal(b, child.Send(context.Background(), message))
		fatal(b, receive(child.Channel, &value))
	}
}

func echo() error {
	parent, err := ipc.Parent()
	for err == nil {
		var value map[string]int
		if err := receive(parent, &value); err != nil {
			return nil // the parent has what it needs
		}
		err = parent.Send(context.Background(), value)
	}
	return err
}

// The child decodes each message, and acknowledges every 64th batch.
func BenchmarkOneWay(b *testing.B) {
	const window = 64
	for _, size := range []int{1, 64} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			child := startChild(b, "count")
			var values []any
			for range size {
				values = append(values, message)
			}
			fatal(b, child.Send(context.Background(), window*size))
			for b.Loop() {
				for range window {
					fatal(b, child.SendBatch(context.Background(), values...))
				}
				var n int
				fatal(b, receive(child.Channel, &n))
			}
			b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(b.N*window*size), "ns/message")
		})
	}
}

func count() error {
	parent, err := ipc.Parent()
	if err != nil {
		return err
	}
	var every int
	if err := receive(parent, &every); err != nil {
		return err
	}
	for n := 1; ; n++ {
		var value map[string]int
		if err := receive(parent, &value); err != nil {
			return nil
		}
		if n%every == 0 {
			if err := parent.Send(context.Background(), n); err != nil {
				return err
			}
		}
	}
}

// A connection is sent, and acknowledged, one at a time.
func BenchmarkHandle(b *testing.B) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	fatal(b, err)
	defer listener.Close()
	conn, err := net.Dial("tcp", listener.Addr().String())
	fatal(b, err)
	defer conn.Close()
	child := startChild(b, "take")
	for b.Loop() {
		fatal(b, child.SendHandle(context.Background(), "conn", conn.(*net.TCPConn)))
	}
}

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

// From Fork to the first message of the child.
func BenchmarkFork(b *testing.B) {
	var total time.Duration
	for b.Loop() {
		start := time.Now()
		child, err := ipc.Fork(ipc.Self("greet"))
		fatal(b, err)
		var hello string
		fatal(b, receive(child.Channel, &hello))
		total += time.Since(start)
		child.Disconnect()
		child.Wait()
	}
	b.ReportMetric(float64(total.Nanoseconds())/float64(b.N), "ns/first-message")
}

func greet() error {
	parent, err := ipc.Parent()
	if err != nil {
		return err
	}
	return parent.Send(context.Background(), "hello")
}
