package program

import (
	"bytes"
	"regexp"
	"strings"
	"unicode"
)

// Words keeps the last 64 KiB of what a child says.
type Words struct{ kept []byte }

// Write never fails.
func (w *Words) Write(p []byte) (int, error) {
	const most = 64 << 10
	w.kept = append(w.kept, p...)
	w.kept = append(w.kept[:0], w.kept[max(0, len(w.kept)-most):]...)
	return len(p), nil
}

// Bytes are the words as they were said.
func (w *Words) Bytes() []byte { return w.kept }

// tellsError finds the line that says what went wrong. With Go and Node it is not
// the last: where it went wrong comes after it.
var tellsError = regexp.MustCompile(`(?m)^(panic: |fatal error: |\w*Error\b).*$`)

// Gist is the line that says most, safe for a terminal.
func (w *Words) Gist() string {
	const shown = 200
	said := bytes.TrimSpace(w.kept)
	line := said[bytes.LastIndexByte(said, '\n')+1:]
	if told := tellsError.FindAll(said, -1); told != nil {
		line = told[len(told)-1]
	}
	if len(line) == 0 {
		return "it said nothing"
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, string(line[:min(len(line), shown)]))
}
