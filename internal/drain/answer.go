package drain

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync/atomic"
)

// answer says Connection: close, if the drain has begun before it has: the client shall
// send its next request elsewhere. A handler can do with it what it can with the writer
// of net/http.
type answer struct {
	http.ResponseWriter
	leaving *atomic.Bool
}

// begin comes before anything is written. Once the header is, it changes nothing.
func (a answer) begin() {
	if a.leaving.Load() {
		a.Header().Set("Connection", "close")
	}
}

func (a answer) WriteHeader(status int) {
	a.begin()
	a.ResponseWriter.WriteHeader(status)
}

func (a answer) Write(p []byte) (int, error) {
	a.begin()
	return a.ResponseWriter.Write(p)
}

// ReadFrom lets a file be sent without a copy.
func (a answer) ReadFrom(r io.Reader) (int64, error) {
	a.begin()
	return io.Copy(a.ResponseWriter, r)
}

func (a answer) Flush() { a.FlushError() }

func (a answer) FlushError() error {
	a.begin()
	return http.NewResponseController(a.ResponseWriter).Flush()
}

func (a answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(a.ResponseWriter).Hijack()
}

// Unwrap is for http.ResponseController.
func (a answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
