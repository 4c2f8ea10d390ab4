// Package visitors asks a chapter's server for pages as people would who expect an
// answer, and counts what they get.
//
// visit.go has one of them, crowd.go many, and tally.go what they meet.
package visitors

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// waits is how long a visitor waits for an answer: longer than any pause between
// restarts, so that one who gives up has been forgotten.
const waits = 60 * time.Second

// Visit makes one request on a connection of its own, and tries nothing twice, as
// net/http's client may. The answer is the body without blanks around it; a status
// other than 200 is an error, and so is no answer within a minute.
func Visit(ctx context.Context, address, path string) (answer string, err error) {
	o := visit(ctx, address, path, func() {})
	return o.answer, o.err
}

// outcome is how a visit went.
type outcome struct {
	answer string
	err    error
	from   string // the local address of its connection, if there was one
	begun  bool   // the header of the answer has been read
}

// visit calls begun when the answer has.
func visit(ctx context.Context, address, path string, begun func()) (o outcome) {
	ctx, cancel := context.WithTimeout(ctx, waits)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		o.err = err
		return o
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Now()) })()
	o.from = conn.LocalAddr().String()

	response, err := Request(conn, path)
	if err != nil {
		o.err = err
		return o
	}
	defer response.Body.Close()
	o.begun = true
	begun()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(response.Status)
	}
	o.answer, o.err = strings.TrimSpace(string(body)), err
	return o
}

// Request asks for path, and returns as soon as the answer begins. It is the last
// request of the connection, which remains the caller's to close.
func Request(conn net.Conn, path string) (*http.Response, error) {
	_, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %v\r\nConnection: close\r\n\r\n", path, conn.RemoteAddr())
	if err != nil {
		return nil, err
	}
	return http.ReadResponse(bufio.NewReader(conn), nil)
}
