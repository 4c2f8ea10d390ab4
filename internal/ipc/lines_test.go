package ipc

import (
	"bytes"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// splitAll splits stream, which arrives in pieces of the given sizes.
func splitAll(stream []byte, max int, sizes []byte) (got []string, starts []int64, err error) {
	l := lines{max: max}
	var kept [][]byte
	piece := 0
	for len(stream) > 0 && err == nil {
		n := len(stream)
		if len(sizes) > 0 {
			n = min(n, int(sizes[piece%len(sizes)])+1)
			piece++
		}
		n = copy(l.room(), stream[:n])
		err = l.split(n, func(line []byte, start int64) {
			kept, starts = append(kept, line), append(starts, start)
		})
		clear(l.room()) // the next read overwrites what has been split
		stream = stream[n:]
	}
	for _, line := range kept {
		got = append(got, string(line))
	}
	return got, starts, err
}

// Only a newline ends a line.
func TestLinesEndAtNewlinesOnly(t *testing.T) {
	got, starts, err := splitAll([]byte("1\n\n\r \"a\xe2\x80\xa8b\"\r\n[\x00]\nhalf"), 100, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"1", "", "\r \"a\u2028b\"\r", "[\x00]"}, got)
	require.Equal(t, []int64{0, 2, 3, 14}, starts)
}

// A line may have max bytes, without its newline.
func TestLineLimit(t *testing.T) {
	exact := strings.Repeat("x", 100)
	got, _, err := splitAll([]byte(exact+"\n"), 100, []byte{6})
	require.NoError(t, err)
	require.Equal(t, []string{exact}, got)
	_, _, err = splitAll([]byte(exact+"x\n"), 100, []byte{6})
	require.ErrorIs(t, err, ErrLineTooLong)
	_, _, err = splitAll([]byte(exact+"x\n"), 100, nil)
	require.ErrorIs(t, err, ErrLineTooLong)
}

// A longer line may be skipped, in whatever pieces it arrives. The others keep their offsets.
func TestLongLinesAreSkipped(t *testing.T) {
	stream := []byte("1\n" + strings.Repeat("x", 101) + "\n2\n\n" + strings.Repeat("y", 1000) + "\n3\n")
	for _, size := range []int{1, 7, 100, 101, 102, 103, 104, 1000, 2000} {
		skipped := 0
		l := lines{max: 100, skip: func() { skipped++ }}
		var got []string
		var starts []int64
		for chunk := range slices.Chunk(stream, size) {
			require.NoError(t, l.split(copy(l.room(), chunk), func(line []byte, start int64) {
				got, starts = append(got, string(line)), append(starts, start)
			}))
			require.LessOrEqual(t, l.partial, 100)
		}
		require.Equal(t, []string{"1", "2", "", "3"}, got)
		require.Equal(t, []int64{0, 104, 106, 1108}, starts)
		require.Equal(t, 2, skipped)
	}
}

// Lines of any length, in any pieces, must arrive whole, in order and with their offsets, and must
// stay the receiver's own while further lines are read.
func TestLinesOfAllLengths(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var stream []byte
	var want []string
	for _, length := range []int{
		0, 1, 100, readSize - 1, readSize, readSize + 1, 0, 3 * readSize, 5, maxKept - 1, maxKept, 7,
		maxKept + 1, 2*maxKept + 5, 9, 300, readSize, 1,
	} {
		want = append(want, strings.Repeat(string(rune('a'+len(want))), length))
		stream = append(stream, want[len(want)-1]+"\n"...)
	}
	for _, most := range []int{100_000, readSize, len(stream)} {
		l := lines{max: 3 * maxKept}
		var got [][]byte
		next := int64(0)
		for rest := stream; len(rest) > 0; {
			room := l.room()
			require.NotEmpty(t, room)
			n := copy(room, rest[:1+random.IntN(min(most, len(rest)))])
			require.NoError(t, l.split(n, func(line []byte, start int64) {
				require.Equal(t, next, start)
				next += int64(len(line)) + 1
				got = append(got, line)
			}))
			clear(l.room())
			rest = rest[n:]
		}
		for i, line := range got {
			require.True(t, want[i] == string(line), "line %d", i)
		}
		require.Len(t, got, len(want))
	}
}

// A long line that is skipped must leave no memory to the lines after it.
func TestSkippedLineLeavesNothing(t *testing.T) {
	skipped := 0
	l := lines{max: 4 * maxKept, skip: func() { skipped++ }}
	var last []byte
	for range 2 {
		for text := strings.Repeat("x", l.max+1) + "\nshort\n"; text != ""; {
			n := copy(l.room(), text)
			text = text[n:]
			require.NoError(t, l.split(n, func(line []byte, _ int64) { last = line }))
		}
		require.Equal(t, "short", string(last))
		require.Less(t, cap(last), 100)
		require.LessOrEqual(t, len(l.buf), maxKept)
	}
	require.Equal(t, 2, skipped)
}

// The buffer must grow only with what has been received, and must be given back after a long
// line: at once if it was very long, otherwise when the lines are short again.
func TestLongBufferIsGivenBack(t *testing.T) {
	for _, length := range []int{2 * readSize, maxKept - 1, maxKept + 1, 3 * maxKept} {
		l := lines{max: 4 * maxKept}
		receive := func(text string) (line []byte) {
			for len(text) > 0 {
				n := copy(l.room(), text[:min(len(text), readSize/3)])
				text = text[n:]
				require.NoError(t, l.split(n, func(got []byte, _ int64) { line = got }))
				require.LessOrEqual(t, len(l.buf), max(readSize, 2*length))
			}
			return line
		}
		require.LessOrEqual(t, cap(receive(strings.Repeat("x", length)+"\n")), 2*length)
		require.LessOrEqual(t, len(l.buf), maxKept)
		for range shortLines {
			require.Less(t, cap(receive("short\n")), 100)
		}
		receive("half a line")
		require.Len(t, l.buf, readSize)
	}
}

// Splitting a line of 16 MiB that arrives read by read must allocate at most five times
// its length. Copying the line for each read would allocate 32 times its length.
func TestLongLinesNeedLinearWork(t *testing.T) {
	const size = 16 << 20
	l := lines{max: size}
	chunk := bytes.Repeat([]byte("x"), readSize)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range size / readSize {
		require.NoError(t, l.split(copy(l.room(), chunk), nil))
	}
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(5*size))
}

// FuzzLines checks that the lines do not depend on the pieces in which a stream arrives:
// they are what splitting the stream at its newlines gives, with their offsets, and none
// is over the limit.
func FuzzLines(f *testing.F) {
	const max = 300
	for _, seed := range []string{
		"", "\n", "\n\n", "1\n2\n", `{"hello":"HELLO"}` + "\n", "\"中文\"\n", "\"\u2028\"\n", "\"\\ud800\"\n",
		`{"cmd":"NODE_HANDLE","type":"net.Server","msg":"server"}` + "\n" + `{"cmd":"NODE_HANDLE_ACK"}` + "\n",
		"\ufeff1\n", "\x00\n", "\xff\xfe\n", "1 2\n", "half", strings.Repeat("x", max) + "\n", strings.Repeat("x", max+1) + "\n",
	} {
		f.Add([]byte(seed), []byte{0})
		f.Add([]byte(seed), []byte{2, 0, 7})
	}
	f.Fuzz(func(t *testing.T, stream, sizes []byte) {
		var want []string
		var starts []int64
		var tooLong bool
		at := 0
		for line := range bytes.SplitAfterSeq(stream, []byte("\n")) {
			text, complete := bytes.CutSuffix(line, []byte("\n"))
			if len(text) > max {
				tooLong = true
				break
			}
			if complete {
				want, starts = append(want, string(text)), append(starts, int64(at))
			}
			at += len(line)
		}
		got, gotStarts, err := splitAll(stream, max, sizes)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(starts, gotStarts); diff != "" {
			t.Error(diff)
		}
		if (err != nil) != tooLong {
			t.Errorf("error %v, but too long is %v", err, tooLong)
		}
	})
}
