package main

import (
	"os"
	"sync"

	"playing-with-processes/internal/program"
)

// voice passes on what a worker says on its standard error. While it is held it
// only remembers: after the first of a crash loop, the others all say the same.
type voice struct {
	mu    sync.Mutex
	held  bool
	words program.Words
}

func (v *voice) Write(p []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.words.Write(p)
	if !v.held {
		os.Stderr.Write(p)
	}
	return len(p), nil
}

// release passes on what was held.
func (v *voice) release() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.held {
		os.Stderr.Write(v.words.Bytes())
		v.held = false
	}
}

// gist is the line that says most, if anything was said.
func (v *voice) gist() (line string, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.words.Gist(), len(v.words.Bytes()) > 0
}
