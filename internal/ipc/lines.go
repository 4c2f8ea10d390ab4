package ipc

import "bytes"

// lines splits a stream of bytes at its newlines, whatever pieces it arrives in. It looks
// at each byte once, however long the line is.
type lines struct {
	max     int    // longest line accepted
	partial []byte // the incomplete line so far
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
		line, start := l.partial, l.start
		l.partial, l.start = nil, start+int64(len(line))+1
		emit(line, start)
		chunk = rest
	}
}

// keep appends a piece to the incomplete line. Its capacity grows by a factor, so that the
// work for a long line stays linear.
func (l *lines) keep(piece []byte) error {
	length := len(l.partial) + len(piece)
	if length > l.max {
		return ErrLineTooLong
	}
	if length > cap(l.partial) && len(l.partial) > 0 {
		l.partial = append(make([]byte, 0, min(4*length, l.max)), l.partial...)
	}
	l.partial = append(l.partial, piece...)
	return nil
}
