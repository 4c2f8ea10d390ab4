package watch

import (
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	maxLog   = 40
	maxLine  = 300 // bytes
	maxMarks = 20
)

// history is what the page remembers of the past: the last lines of the log, what people did, and
// how many requests were answered.
type history struct {
	begun time.Time

	mu       sync.Mutex
	lines    []string
	marks    []mark
	answered []int // totals at the frames of the last second, oldest first
}

// mark is something that was done.
type mark struct {
	Time int64  `json:"time"`
	What string `json:"what"` // an action
}

// log adds the lines of a text, each with its time.
func (h *history) log(text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now().Format("15:04:05.000 ")
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		h.lines = append(h.lines, now+strings.ToValidUTF8(line[:min(len(line), maxLine)], ""))
	}
	h.lines = slices.Delete(h.lines, 0, max(0, len(h.lines)-maxLog))
}

// mark remembers an action, and logs the command that would do the same.
func (h *history) mark(what, command string) {
	h.log("$ " + command)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.marks = append(h.marks, mark{time.Since(h.begun).Milliseconds(), what})
	h.marks = slices.Delete(h.marks, 0, max(0, len(h.marks)-maxMarks))
}

// count is called once a frame.
func (h *history) count(answered int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answered = append(h.answered, answered)
	h.answered = slices.Delete(h.answered, 0, max(0, len(h.answered)-1-int(time.Second/frameTime)))
}

func (h *history) state() (now int64, rate int, marks []mark, lines []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.answered); n > 0 {
		rate = h.answered[n-1] - h.answered[0]
	}
	return time.Since(h.begun).Milliseconds(), rate, append([]mark{}, h.marks...), append([]string{}, h.lines...)
}
