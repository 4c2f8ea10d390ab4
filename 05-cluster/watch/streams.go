package watch

import (
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	maxStreams = 64
	// lag is how many frames a browser may be behind, and sendTime how long one may take.
	lag      = 20
	sendTime = 5 * time.Second
)

// streams sends frames to browsers, as server-sent events. Nothing waits for a browser: one that is
// too slow is dropped, and asks again.
type streams struct {
	mu  sync.Mutex
	all map[chan []byte]bool
}

func (s *streams) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	frames := s.add()
	if frames == nil {
		w.Header().Set("Retry-After", "5")
		http.Error(w, fmt.Sprintf("%d browsers are watching: wait until one has left", maxStreams), http.StatusServiceUnavailable)
		return
	}
	defer s.remove(frames)
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	for {
		select {
		case <-r.Context().Done():
			return
		case frame, open := <-frames:
			if !open { // it was too slow
				return
			}
			control.SetWriteDeadline(time.Now().Add(sendTime))
			if _, err := fmt.Fprintf(w, "data: %s\n\n", frame); err != nil || control.Flush() != nil {
				return
			}
		}
	}
}

// add adds a stream, or returns nil if there are too many.
func (s *streams) add() chan []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) == maxStreams {
		return nil
	}
	if s.all == nil {
		s.all = map[chan []byte]bool{}
	}
	frames := make(chan []byte, lag)
	s.all[frames] = true
	return frames
}

func (s *streams) remove(frames chan []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, frames)
}

// send sends a frame to every browser, and drops those that are too far behind.
func (s *streams) send(frame []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for frames := range s.all {
		select {
		case frames <- frame:
		default:
			delete(s.all, frames)
			close(frames)
		}
	}
}

// watched reports whether a browser is watching.
func (s *streams) watched() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all) > 0
}
