// Package demo is what the servers of chapters 04 and 05, their demonstrations and their
// tests share.
//
// server.go is what the workers serve. client.go is a client that waits for its answer,
// clients.go is several of them, and stats.go what happened to their requests. episode.go
// plays one incident after the other.
package demo

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"time"
)

// maxSlow is the longest /slow, in milliseconds.
const maxSlow = 60_000

// NewServer returns the pages /, /crash, /hang and /slow. The caller may add others.
func NewServer() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", Answer)
	mux.HandleFunc("/crash", crash)
	mux.HandleFunc("/hang", hang)
	mux.HandleFunc("/slow", slow)
	return mux
}

// PrintHints says where the pages are, what to try there, and more that can be tried.
func PrintHints(say *log.Logger, address string, more ...string) {
	address = Reachable(address)
	say.Printf("open on http://%s; in another terminal, try", address)
	say.Printf("  curl %s/       which worker answers?", address)
	say.Printf("  curl %s/crash  a panic: nothing recovers it", address)
	say.Printf("  curl %s/hang   a worker that freezes", address)
	say.Printf("  curl '%s/slow?ms=3000'  then Ctrl-C here", address)
	for _, hint := range more {
		say.Printf("  %s", hint)
	}
	say.Print("  kill -9 a worker, or this primary")
	say.Print("Ctrl-C stops; a second one does not wait")
}

// Reachable returns an address at which to reach a server that may listen at all addresses.
func Reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	ip := net.ParseIP(host)
	switch {
	case host == "" || ip.Equal(net.IPv4zero):
		host = "127.0.0.1"
	case ip.Equal(net.IPv6unspecified):
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}

// Answer answers with "worker" and the pid of this process.
func Answer(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintf(w, "worker %d\n", os.Getpid())
}

// crash panics in a goroutine of its own, as background work with a nil pointer would. A
// panic in the handler itself would not end the process: net/http recovers it, and only
// this client sees its connection end. In Node, an error thrown in a handler ends the
// process.
func crash(_ http.ResponseWriter, r *http.Request) {
	go panic("a client asked for /crash")
	<-r.Context().Done()
}

// hang stops this whole process. An endless loop would not do: Node runs all handlers in
// one thread, so one such loop hangs them all, but Go's scheduler takes the CPU away from
// the loop, and the other handlers go on.
func hang(_ http.ResponseWriter, r *http.Request) {
	syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	<-r.Context().Done() // the signal may take a moment
}

// slow answers after ?ms= milliseconds. It sends the header at once, unless the request has
// header=late.
func slow(w http.ResponseWriter, r *http.Request) {
	ms, err := strconv.Atoi(r.FormValue("ms"))
	if err != nil || ms < 0 || ms > maxSlow {
		http.Error(w, fmt.Sprintf("/slow?ms= takes 0 to %d", maxSlow), http.StatusBadRequest)
		return
	}
	if r.FormValue("header") != "late" {
		http.NewResponseController(w).Flush()
	}
	time.Sleep(time.Duration(ms) * time.Millisecond)
	Answer(w, r)
}
