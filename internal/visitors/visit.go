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
	o := (&visitor{address: address}).visit(ctx, path, func() {})
	return o.answer, o.err
}

// outcome is how a visit went.
type outcome struct {
	answer string
	err    error
	from   string // the local address of its connection, if there was one
	again  bool   // it was not the first visit on that
	begun  bool   // the header of the answer has been read
}

// visitor is somebody who visits once, or again and again.
type visitor struct {
	address string
	regular bool // keeps the connection for the next visit, if the server does

	conn net.Conn // from the last visit, or nil
	in   *bufio.Reader
}

// visit calls begun when the answer has.
func (v *visitor) visit(ctx context.Context, path string, begun func()) (o outcome) {
	ctx, cancel := context.WithTimeout(ctx, waits)
	defer cancel()
	o.again = v.conn != nil
	if o.err = v.connect(ctx); o.err != nil {
		return o
	}
	conn := v.conn
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Now()) })()
	o.from = conn.LocalAddr().String()
	var last bool
	o.answer, last, o.err = v.ask(path, func() {
		o.begun = true
		begun()
	})
	if last || o.err != nil {
		v.leave()
	}
	return o
}

func (v *visitor) connect(ctx context.Context) (err error) {
	if v.conn == nil {
		v.conn, err = new(net.Dialer).DialContext(ctx, "tcp", v.address)
		v.in = bufio.NewReader(v.conn)
	}
	return err
}

// leave ends the connection, if there is one.
func (v *visitor) leave() {
	if v.conn != nil {
		v.conn.Close()
		v.conn = nil
	}
}

// ask makes a request. It was the last one of the connection if the visitor or the server
// wants it so.
func (v *visitor) ask(path string, begun func()) (answer string, last bool, err error) {
	response, err := request(v.conn, v.in, path, !v.regular)
	if err != nil {
		return "", true, err
	}
	defer response.Body.Close()
	begun()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(response.Status)
	}
	return strings.TrimSpace(string(body)), response.Close || !v.regular, err
}

// Request asks for path, and returns as soon as the answer begins. It is the last
// request of the connection, which remains the caller's to close.
func Request(conn net.Conn, path string) (*http.Response, error) {
	return request(conn, bufio.NewReader(conn), path, true)
}

func request(conn net.Conn, in *bufio.Reader, path string, last bool) (*http.Response, error) {
	header := ""
	if last {
		header = "Connection: close\r\n"
	}
	_, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %v\r\n%s\r\n", path, conn.RemoteAddr(), header)
	if err != nil {
		return nil, err
	}
	return http.ReadResponse(in, nil)
}
