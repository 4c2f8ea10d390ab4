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

// errorLine matches the line that says what went wrong: a line by itself, or what Node prints
// after the line that marks the place in the source, or the C library's or the runtime's reason
// for an abort. Go and Node print a stack trace after it, so it is not the last line.
var errorLine = regexp.MustCompile(`(?m)^(?:` +
	`((?:panic|fatal error|FATAL ERROR): .*|\w*Error\b.*)|` +
	` *\^+\n+(.+)|` +
	`(runtime/cgo: .*)\nSIGABRT: .*|` +
	`(SIG[A-Z]+: .*))$`)

// ErrorLine returns the line that says what went wrong, or else the last line, with
// unprintable characters replaced.
func (b *TailBuffer) ErrorLine() string {
	const shown = 200
	text := bytes.TrimSpace(b.kept)
	line := text[bytes.LastIndexByte(text, '\n')+1:]
	if found := errorLine.FindAllSubmatch(text, -1); found != nil {
		line = bytes.Join(found[len(found)-1][1:], nil) // one of them is not empty
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
