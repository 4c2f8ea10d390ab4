package ipc

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// benchmarkSizes runs a benchmark with a message of each size.
func benchmarkSizes(b *testing.B, run func(b *testing.B, text string)) {
	for _, size := range []int{20, 1 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(size))
			run(b, strings.Repeat("x", size))
		})
	}
}

// What a message costs its sender, without the system call.
func BenchmarkEncode(b *testing.B) {
	for _, kind := range []string{"value", "raw"} {
		b.Run(kind, func(b *testing.B) {
			benchmarkSizes(b, func(b *testing.B, text string) {
				var v any = struct{ Text string }{text}
				if kind == "raw" {
					raw, _ := json.Marshal(v)
					v = json.RawMessage(raw)
				}
				c := &Channel{cfg: Config{MaxLine: 2 << 20}}
				var out bytes.Buffer
				for b.Loop() {
					out.Reset()
					if err := c.encode(&out, v); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

// What a message costs its receiver, without the system call and Decode.
func BenchmarkLines(b *testing.B) {
	benchmarkSizes(b, func(b *testing.B, text string) {
		l, stream := lines{max: 2 << 20}, strings.Repeat(text+"\n", 1+readSize/len(text))
		lines := 0
		for rest := ""; b.Loop(); lines-- {
			for lines == 0 {
				if rest == "" {
					rest = stream
				}
				n := copy(l.room(), rest[:min(len(rest), readSize)])
				rest = rest[n:]
				if err := l.split(n, func([]byte, int64) { lines++ }); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

// A message from one channel to another in this process, sent, received and decoded.
func BenchmarkSend(b *testing.B) {
	benchmarkSizes(b, func(b *testing.B, text string) {
		ours, theirs, err := socketpair()
		if err != nil {
			b.Fatal(err)
		}
		from, to := newChannel(ours, Config{}), newChannel(theirs, Config{})
		received := make(chan error, 1)
		go func() {
			for m, err := range to.Messages() {
				var v struct{ Text string }
				if err != nil || m.Decode(&v) != nil {
					b.Error("not received")
				}
			}
			received <- nil
		}()
		for b.Loop() {
			if err := from.Send(context.Background(), struct{ Text string }{text}); err != nil {
				b.Fatal(err)
			}
		}
		from.Disconnect()
		<-received
	})
}
