package cli

import (
	"bytes"
	"regexp"
	"strings"
	"unicode"
)

// TailBuffer keeps the last 64 KiB of what a child writes.
type TailBuffer struct{ kept []byte }

// Write never fails.
func (b *TailBuffer) Write(p []byte) (int, error) {
	const most = 64 << 10
	b.kept = append(b.kept, p...)
	b.kept = append(b.kept[:0], b.kept[max(0, len(b.kept)-most):]...)
	return len(p), nil
}

// Bytes returns what was kept.
func (b *TailBuffer) Bytes() []byte { return b.kept }

// errorLine matches the line that says what went wrong. Go and Node print a stack trace
// after it, so it is not the last line.
var errorLine = regexp.MustCompile(`(?m)^(panic: |fatal error: |\w*Error\b).*$`)

// ErrorLine returns the line that says what went wrong, or else the last line, with
// unprintable characters replaced.
func (b *TailBuffer) ErrorLine() string {
	const shown = 200
	text := bytes.TrimSpace(b.kept)
	line := text[bytes.LastIndexByte(text, '\n')+1:]
	if found := errorLine.FindAll(text, -1); found != nil {
		line = found[len(found)-1]
	}
	if len(line) == 0 {
		return "it printed no error"
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, string(line[:min(len(line), shown)]))
}
