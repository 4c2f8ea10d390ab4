package supervise

import (
	"os"
	"sync"

	"playing-with-processes/internal/program"
)

// Voice passes on to this process's standard error what a worker says on its own.
// While it is held it only remembers, 64 KiB at the most: after the first of a crash
// loop, the others all say the same. It may be used from any goroutine.
type Voice struct {
	mu    sync.Mutex
	held  bool
	words program.Words
}

// Write never fails.
func (v *Voice) Write(p []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.words.Write(p)
	if !v.held {
		os.Stderr.Write(p)
	}
	return len(p), nil
}

// Release passes on what was held, and from then on everything.
func (v *Voice) Release() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.held {
		os.Stderr.Write(v.words.Bytes())
		v.held = false
	}
}

// Gist is the line that says most, safe for a terminal; ok is whether anything was
// said.
func (v *Voice) Gist() (line string, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.words.Gist(), len(v.words.Bytes()) > 0
}
