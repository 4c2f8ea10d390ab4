package ipc

import "bytes"

// lines splits a stream of bytes at its newlines, whatever pieces it arrives in. It looks
// at each byte once, however long the line is.
type lines struct {
	max     int    // longest line accepted
	skip    func() // called with each longer line, or nil: it is an error
	partial []byte // the incomplete line so far
	skipped int64  // how much of it is longer than max, and was skipped
	start   int64  // where in the stream that line begins
}

// split calls emit with each line that chunk completes, and with the offset at which the
// line began. emit may keep the line; chunk may be used again. After ErrLineTooLong the
// stream cannot be split any further.
func (l *lines) split(chunk []byte, emit func(line []byte, start int64)) error {
	for {
		piece, rest, complete := bytes.Cut(chunk, []byte("\n"))
		if err := l.keep(piece); err != nil || !complete {
			return err
		}
		line, start, skipped := l.partial, l.start, l.skipped
		l.partial, l.skipped = nil, 0
		l.start = start + int64(len(line)) + skipped + 1
		if skipped > 0 {
			l.skip()
		} else {
			emit(line, start)
		}
		chunk = rest
	}
}

// keep appends a piece to the incomplete line, or skips it. Its capacity grows by a factor, so that the
// work for a long line stays linear.
func (l *lines) keep(piece []byte) error {
	length := len(l.partial) + len(piece)
	if l.skipped > 0 || length > l.max {
		if l.skip == nil {
			return ErrLineTooLong
		}
		l.partial, l.skipped = nil, l.skipped+int64(length)
		return nil
	}
	if length > cap(l.partial) && len(l.partial) > 0 {
		l.partial = append(make([]byte, 0, min(4*length, l.max)), l.partial...)
	}
	l.partial = append(l.partial, piece...)
	return nil
}
