package ipc

import "bytes"

// lines cuts a stream of bytes at its newlines, however it arrives in pieces.
// Each byte is looked at once, whatever the length of the line.
type lines struct {
	max     int    // longest line accepted
	partial []byte // the line under way
	start   int64  // where in the stream that line begins
}

// cut hands emit every line that chunk completes, and where it began. The line
// is emit's to keep; chunk may be used again. After ErrLineTooLong the stream
// cannot be followed any more.
func (l *lines) cut(chunk []byte, emit func(line []byte, start int64)) error {
	for {
		i := bytes.IndexByte(chunk, '\n')
		if i < 0 {
			return l.keep(chunk)
		}
		if err := l.keep(chunk[:i]); err != nil {
			return err
		}
		line, start := l.partial, l.start
		l.partial, l.start = nil, start+int64(len(line))+1
		emit(line, start)
		chunk = chunk[i+1:]
	}
}

// keep adds a piece to the line under way. That its room grows by a factor keeps
// the work for a long line linear.
func (l *lines) keep(piece []byte) error {
	length := len(l.partial) + len(piece)
	if length > l.max {
		return ErrLineTooLong
	}
	if length > cap(l.partial) && len(l.partial) > 0 {
		room := min(4*length, l.max)
		l.partial = append(make([]byte, 0, room), l.partial...)
	}
	l.partial = append(l.partial, piece...)
	return nil
}
