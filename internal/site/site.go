// Package site is what the chapters' workers serve: a page, and ways to get them
// into trouble.
package site

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"time"
)

// maxSlow is how long a request can be in flight, in milliseconds.
const maxSlow = 60_000

// New returns the pages /, /crash, /hang and /slow. The caller may add others.
func New() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", Answer)
	mux.HandleFunc("/crash", crash)
	mux.HandleFunc("/hang", hang)
	mux.HandleFunc("/slow", slow)
	return mux
}

// Answer says who answers: "worker" and the pid of this process.
func Answer(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintf(w, "worker %d\n", os.Getpid())
}

// crash panics in a goroutine of its own, as a forgotten nil in background work
// would. A panic in the handler itself would not end the process: net/http
// recovers it, and the visitor alone sees the connection end. In Node nothing
// recovers what a handler throws.
func crash(_ http.ResponseWriter, r *http.Request) {
	go panic("a visitor asked for /crash")
	<-r.Context().Done()
}

// hang stops this whole process. An endless loop would not do: Node runs all
// handlers in one thread, so there one such loop hangs them all, while Go's
// scheduler takes the CPU away from it and the others go on.
func hang(_ http.ResponseWriter, r *http.Request) {
	syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	<-r.Context().Done() // the signal may take a moment
}

// slow answers after ?ms= milliseconds. That it has begun is told at once.
func slow(w http.ResponseWriter, r *http.Request) {
	ms, err := strconv.Atoi(r.FormValue("ms"))
	if err != nil || ms < 0 || ms > maxSlow {
		http.Error(w, fmt.Sprintf("/slow?ms= takes 0 to %d", maxSlow), http.StatusBadRequest)
		return
	}
	http.NewResponseController(w).Flush()
	time.Sleep(time.Duration(ms) * time.Millisecond)
	Answer(w, r)
}
