package supervise

import (
	"os"
	"sync"

	"playing-with-processes/internal/program"
)

// maxBacklog is how much may wait to be written, in bytes.
const maxBacklog = 64 << 10

// Voice passes on to this process's standard error what a worker says on its own.
// While it is held it only remembers, 64 KiB at the most: after the first of a crash
// loop, the others all say the same. It may be used from any goroutine.
//
// Nobody waits for it: where standard error is not read, as with Ctrl-S, what does not
// fit into 64 KiB is dropped, and workers are supervised on.
type Voice struct {
	out     *os.File
	mu      sync.Mutex
	held    bool
	words   program.Words
	backlog []byte
	writing bool
	quiet   chan struct{} // closed when the backlog has been written
}

// Write never fails, and never waits.
func (v *Voice) Write(p []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.words.Write(p)
	if !v.held {
		v.say(p)
	}
	return len(p), nil
}

// Release passes on what was held, and from then on everything.
func (v *Voice) Release() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.held {
		v.held = false
		v.say(v.words.Bytes())
	}
}

// say lets a goroutine write, as long as there is something. The caller has v.mu.
func (v *Voice) say(p []byte) {
	room := max(0, maxBacklog-len(v.backlog))
	v.backlog = append(v.backlog, p[:min(len(p), room)]...)
	if !v.writing && len(v.backlog) > 0 {
		v.writing, v.quiet = true, make(chan struct{})
		go v.write()
	}
}

func (v *Voice) write() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for len(v.backlog) > 0 {
		p := v.backlog
		v.backlog = nil
		v.mu.Unlock()
		v.out.Write(p)
		v.mu.Lock()
	}
	v.writing = false
	close(v.quiet)
}

// said is closed when all so far has been written. It may never be.
func (v *Voice) said() <-chan struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.quiet == nil {
		v.quiet = make(chan struct{})
		close(v.quiet)
	}
	return v.quiet
}

// Gist is the line that says most, safe for a terminal; ok is whether anything was
// said.
func (v *Voice) Gist() (line string, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.words.Gist(), len(v.words.Bytes()) > 0
}
