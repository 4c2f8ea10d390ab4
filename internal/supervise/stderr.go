package supervise

import (
	"io"
	"sync"

	"playing-with-processes/internal/cli"
)

// maxBacklog bounds the bytes that wait to be written.
const maxBacklog = 64 << 10

// Stderr passes on what a process prints. While it is held, it only keeps the last 64 KiB: in a
// crash loop each process prints the same. It may be used from any goroutine.
//
// It never blocks. If out does not take it, as a terminal after Ctrl-S, what does not fit into
// 64 KiB is dropped, and supervision goes on.
type Stderr struct {
	out     io.Writer
	mu      sync.Mutex
	held    bool
	tail    cli.TailBuffer
	backlog []byte
	writing bool
	idle    chan struct{} // closed when the backlog has been written
}

// Write never fails, and never waits.
func (s *Stderr) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tail.Write(p)
	if !s.held {
		s.enqueue(p)
	}
	return len(p), nil
}

// Release passes on what was held, and from then on everything.
func (s *Stderr) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held {
		s.held = false
		s.enqueue(s.tail.Bytes())
	}
}

// enqueue makes sure that a goroutine writes the backlog. The caller holds s.mu.
func (s *Stderr) enqueue(p []byte) {
	room := max(0, maxBacklog-len(s.backlog))
	s.backlog = append(s.backlog, p[:min(len(p), room)]...)
	if !s.writing && len(s.backlog) > 0 {
		s.writing, s.idle = true, make(chan struct{})
		go s.write()
	}
}

func (s *Stderr) write() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.backlog) > 0 {
		p := s.backlog
		s.backlog = nil
		s.mu.Unlock()
		s.out.Write(p)
		s.mu.Lock()
	}
	s.writing = false
	close(s.idle)
}

// flushed is closed when everything so far has been written, which may be never.
func (s *Stderr) flushed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.idle == nil {
		s.idle = make(chan struct{})
		close(s.idle)
	}
	return s.idle
}

// ErrorLine returns the line that says what went wrong, with unprintable characters
// replaced. ok reports whether the process has printed anything.
func (s *Stderr) ErrorLine() (line string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tail.ErrorLine(), len(s.tail.Bytes()) > 0
}
