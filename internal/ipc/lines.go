package ipc

import "bytes"

const (
	// readSize is all that a socket of the usual size holds.
	readSize = 256 << 10
	// maxKept is the longest buffer that is kept for the next long message.
	maxKept = 4 << 20
	// shortLines is how many lines that fit into readSize give a longer buffer back.
	shortLines = 64
)

// lines splits a stream of bytes at its newlines, whatever pieces it arrives in. The bytes
// are read to where their line is assembled. lines looks at each byte once, however long
// the line is.
type lines struct {
	max     int    // longest line accepted
	skip    func() // called with each longer line, or nil: it is an error
	buf     []byte // starts with the incomplete line
	partial int    // how long that is so far
	skipped int64  // how much of it is longer than max, and was skipped
	start   int64  // where in the stream that line begins
	short   int    // lines since the last of readSize or longer
}

// room returns where the next bytes of the stream belong. The buffer doubles when one line
// has filled it, so it is never much longer than what the peer has really sent.
func (l *lines) room() []byte {
	size := len(l.buf)
	switch {
	case size == 0, l.short >= shortLines && l.partial < readSize:
		size = readSize
	case l.partial == size:
		size = min(2*size, l.max+1)
	}
	if size != len(l.buf) {
		l.resize(size, l.buf[:l.partial])
	}
	return l.buf[l.partial:]
}

func (l *lines) resize(size int, partial []byte) {
	l.buf = make([]byte, size)
	l.partial = copy(l.buf, partial)
}

// split takes n more bytes, which stand in room. It calls emit with each line that they
// complete, and with the offset at which the line began. emit may keep the line. After
// ErrLineTooLong the stream cannot be split any further.
func (l *lines) split(n int, emit func(line []byte, start int64)) error {
	searched, rest := l.partial, l.buf[:l.partial+n]
	for {
		i := bytes.IndexByte(rest[searched:], '\n')
		if i < 0 {
			break
		}
		line := rest[:searched+i]
		searched, rest = 0, rest[len(line)+1:]
		start, tooLong := l.start, l.skipped > 0 || len(line) > l.max
		l.start += l.skipped + int64(len(line)) + 1
		l.skipped = 0
		switch {
		case !tooLong:
			line, rest = l.own(line, rest)
			emit(line, start)
		case l.skip == nil:
			return ErrLineTooLong
		default:
			l.skip()
		}
	}
	if l.partial += n; len(rest) < l.partial { // a line is complete
		l.partial = copy(l.buf, rest)
	}
	return l.limit()
}

// own returns line for its receiver to keep, and the bytes after it. An exact copy costs no more
// than a buffer for each line would, because the runtime clears those. A very long line is not
// copied: it takes the buffer with it.
func (l *lines) own(line, rest []byte) (own, after []byte) {
	if l.short++; len(line) >= readSize {
		l.short = 0
	}
	if len(line) < maxKept {
		return bytes.Clone(line), rest
	}
	l.resize(max(readSize, len(rest)), rest)
	return line, l.buf[:l.partial]
}

// limit skips the incomplete line, or returns an error, once it is too long.
func (l *lines) limit() error {
	switch {
	case l.skipped == 0 && l.partial <= l.max:
		return nil
	case l.skip == nil:
		return ErrLineTooLong
	}
	l.skipped += int64(l.partial)
	l.partial = 0
	if len(l.buf) > maxKept {
		l.buf = nil // gives back the memory of a line that nothing will receive
	}
	return nil
}
