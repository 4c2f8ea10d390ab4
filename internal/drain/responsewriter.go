package drain

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync/atomic"
)

// responseWriter adds Connection: close to an answer that begins during the drain, so that
// the client opens a new connection for its next request. It supports what net/http's
// writer supports.
type responseWriter struct {
	http.ResponseWriter
	draining *atomic.Bool
	hijacked func() // called when the handler takes the connection
}

// begin runs before anything is written. Once the header is written, it has no effect.
func (w responseWriter) begin() {
	if w.draining.Load() {
		w.Header().Set("Connection", "close")
	}
}

func (w responseWriter) WriteHeader(status int) {
	w.begin()
	w.ResponseWriter.WriteHeader(status)
}

func (w responseWriter) Write(p []byte) (int, error) {
	w.begin()
	return w.ResponseWriter.Write(p)
}

// ReadFrom lets the kernel copy a file.
func (w responseWriter) ReadFrom(r io.Reader) (int64, error) {
	w.begin()
	return io.Copy(w.ResponseWriter, r)
}

func (w responseWriter) Flush() { w.FlushError() }

func (w responseWriter) FlushError() error {
	w.begin()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

func (w responseWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, in, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.hijacked()
	}
	return conn, in, err
}

// Unwrap is for http.ResponseController.
func (w responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
