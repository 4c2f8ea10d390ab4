package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	"playing-with-processes/internal/ipc"
)

// testChild forks this binary in a role, and ends it with the benchmark.
func testChild(b *testing.B, role string) *ipc.Child {
	b.Helper()
	child, err := startChild("", role)
	fatal(b, err)
	b.Cleanup(func() { endChild(child) })
	return child
}

// A round trip is a message to the child, which sends it back. Under taskset -c 0 both run on
// one CPU.
func BenchmarkRoundTrip(b *testing.B) {
	b.ReportAllocs()
	child := testChild(b, "echo")
	for b.Loop() {
		fatal(b, talk(child.Channel))
	}
}

// The child decodes each message, and answers each window.
func BenchmarkOneWay(b *testing.B) {
	for _, size := range []int{smallSize, 1 << 10, 64 << 10, 1 << 20} {
		for _, batch := range []int{1, window} {
			if size*batch > 1<<20 {
				continue
			}
			b.Run(fmt.Sprintf("size=%d/batch=%d", size, batch), func(b *testing.B) {
				b.ReportAllocs()
				s, err := startStream(size, batch, "value")
				fatal(b, err)
				defer endChild(s.child)
				for b.Loop() {
					fatal(b, s.sendWindow())
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*s.sends*batch), "ns/message")
			})
		}
	}
}

// A connection is sent, and acknowledged, one at a time.
func BenchmarkHandle(b *testing.B) {
	b.ReportAllocs()
	conn, err := connect()
	fatal(b, err)
	defer conn.Close()
	child := testChild(b, "take")
	for b.Loop() {
		fatal(b, child.SendHandle(context.Background(), "conn", conn))
	}
}

// From Fork to the first message of the child.
func BenchmarkFork(b *testing.B) {
	var total time.Duration
	for b.Loop() {
		took, err := forkOnce()
		fatal(b, err)
		total += took
	}
	b.ReportMetric(float64(total.Nanoseconds())/float64(b.N), "ns/first-message")
}
