package watch

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

//go:embed index.html icon.svg style.css texts.js page.js dots.js chart.js
var files embed.FS

// server answers browsers. A page of another site can neither read from it nor change anything.
type server struct {
	http.Server
	listener net.Listener
	host     string // that was asked for
}

func newServer(p *Page, listener net.Listener, address string) *server {
	s := &server{listener: listener}
	s.host, _, _ = net.SplitHostPort(address)
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(files))
	mux.Handle("GET /frames", &p.streams)
	mux.HandleFunc("POST /{action}", p.act)
	const timeout = 5 * time.Second
	s.Server = http.Server{
		Handler:           s.guard(http.NewCrossOriginProtection().Handler(mux)),
		ReadHeaderTimeout: timeout,
		ReadTimeout:       timeout,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		BaseContext:       func(net.Listener) context.Context { return p.ctx }, // streams end with the page
	}
	return s
}

// guard refuses requests that another site makes through a browser, whether the site points its own
// name at this address (DNS rebinding) or uses this server's. Only a link to the page is allowed.
func (s *server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		site := r.Header.Get("Sec-Fetch-Site")
		link := r.Method == http.MethodGet && r.URL.Path == "/" && r.Header.Get("Sec-Fetch-Mode") == "navigate"
		switch {
		case !s.knows(r.Host):
			http.Error(w, fmt.Sprintf("this page is not at %q: open it by its address", r.Host), http.StatusMisdirectedRequest)
			return
		case site != "" && site != "same-origin" && site != "none" && !link:
			http.Error(w, "this page is not for other sites", http.StatusForbidden)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store") // the next program may have another page
		next.ServeHTTP(w, r)
	})
}

// knows reports whether a Host header names this server. An IP address cannot be rebound.
func (s *server) knows(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || strings.EqualFold(host, "localhost") || host != "" && strings.EqualFold(host, s.host)
}

// act does what a button asks for. What cannot be done is one line.
func (p *Page) act(w http.ResponseWriter, r *http.Request) {
	do, ok := actions[r.PathValue("action")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	err := do(p, r.URL.Query())
	switch wrong := badRequest(""); {
	case err == nil:
		w.WriteHeader(http.StatusNoContent)
	case errors.As(err, &wrong):
		http.Error(w, err.Error(), http.StatusBadRequest)
	default:
		http.Error(w, err.Error(), http.StatusConflict)
	}
}
