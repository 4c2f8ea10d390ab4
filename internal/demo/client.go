package demo

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

// clientTimeout is how long a client waits for an answer: longer than any pause between
// restarts, so a request that takes longer hangs.
const clientTimeout = 60 * time.Second

// Get makes one request on a connection of its own. It never tries again, as net/http's
// client may. The answer is the body without surrounding blanks. A status other than 200 is
// an error, and so is no answer within a minute.
func Get(ctx context.Context, address, path string) (answer string, err error) {
	r := Visit(ctx, address, path)
	return r.Answer, r.Err
}

// Visit is Get that says more.
func Visit(ctx context.Context, address, path string) Result {
	r := (&client{address: address}).get(ctx, path, func() {})
	r.At = time.Now()
	return r
}

// client makes one request after the other.
type client struct {
	address   string
	keepAlive bool // keep the connection for the next request, if the server does

	conn net.Conn // kept from the last request, or nil
	in   *bufio.Reader
}

// get makes a request, and calls begun when the answer begins.
func (c *client) get(ctx context.Context, path string, begun func()) (r Result) {
	ctx, cancel := context.WithTimeout(ctx, clientTimeout)
	defer cancel()
	if r.Reused = c.conn != nil; !r.Reused {
		if c.conn, r.Err = new(net.Dialer).DialContext(ctx, "tcp", c.address); r.Err != nil {
			return r
		}
		c.in = bufio.NewReader(c.conn)
	}
	conn := c.conn
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Now()) })()
	r.From = conn.LocalAddr().String()

	response, err := request(conn, c.in, path, !c.keepAlive)
	if err != nil {
		c.close()
		r.Err = err
		return r
	}
	defer response.Body.Close()
	r.Begun = true
	begun()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(response.Status)
	}
	if err != nil || response.Close || !c.keepAlive {
		c.close()
	}
	r.Answer, r.Err = strings.TrimSpace(string(body)), err
	return r
}

// close closes the connection, if there is one.
func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// Request sends the last request of a connection, and returns as soon as the answer
// begins. The caller closes the connection.
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
