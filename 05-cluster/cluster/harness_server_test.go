package cluster

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

func init() {
	roles["server"] = func(args ...string) error { return newWorkerServer().serve(args, 0) }
	roles["full"] = func(args ...string) error { return newWorkerServer().serve(args, 1) }
	roles["packets"] = packets
	roles["describe"] = func(...string) error { _, err := fmt.Print(describe()); return err }
}

// workerServer is a worker that does what its clients ask for.
type workerServer struct {
	serving sync.WaitGroup
	last    chan net.Listener // of /listen
}

func newWorkerServer() *workerServer { return &workerServer{last: make(chan net.Listener, 1)} }

// serve serves the addresses, each a network and an address, and those that are added
// later. If limit is not 0, each listener has that many connections at a time.
func (s *workerServer) serve(addresses []string, limit int) error {
	for i := 0; i < len(addresses); i += 2 {
		l, err := Listen(addresses[i], addresses[i+1])
		if err != nil {
			return err
		}
		fmt.Printf("worker %d: %v\n", os.Getpid(), l.Addr())
		if limit > 0 {
			l = limitedListener{l, make(chan struct{}, limit)}
		}
		s.add(l)
	}
	s.serving.Wait()
	return nil
}

func (s *workerServer) add(l net.Listener) {
	s.serving.Go(func() {
		if err := Serve(l, s); !errors.Is(err, net.ErrClosed) && err != nil { // by /close
			fmt.Fprintln(os.Stderr, err)
		}
	})
}

func (s *workerServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/open": // until the client has finished the request
		fmt.Printf("worker %d: open\n", os.Getpid())
		io.Copy(io.Discard, r.Body)
	case "/leave":
		fmt.Fprintln(w, Leave())
		return
	case "/listen":
		l, err := Listen(r.FormValue("network"), r.FormValue("address"))
		if err != nil {
			fmt.Fprint(w, errorText(err))
			return
		}
		s.last <- l
		s.add(l)
		fmt.Fprint(w, l.Addr())
		return
	case "/close":
		fmt.Fprint(w, (<-s.last).Close())
		return
	case "/child":
		path, _ := os.Executable()
		out, err := exec.Command(path, "describe").CombinedOutput()
		fmt.Fprintf(w, "%s%v", out, err)
		return
	}
	fmt.Fprintf(w, "worker %d", os.Getpid())
}

// limitedListener has as many connections at a time as there is room for.
type limitedListener struct {
	net.Listener
	room chan struct{}
}

func (l limitedListener) Accept() (net.Conn, error) {
	l.room <- struct{}{}
	release := sync.OnceFunc(func() { <-l.room })
	conn, err := l.Listener.Accept()
	if err != nil {
		release()
		return nil, err
	}
	return limitedConn{conn, release}, nil
}

type limitedConn struct {
	net.Conn
	release func()
}

func (c limitedConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}

// packets answers each packet.
func packets(args ...string) error {
	conn, err := ListenPacket(args[0], args[1])
	if err != nil {
		fmt.Println(errorText(err))
		return nil
	}
	fmt.Printf("worker %d: %v\n", os.Getpid(), conn.LocalAddr())
	for buffer := make([]byte, 100); ; {
		n, from, err := conn.ReadFrom(buffer)
		if err != nil { // the worker leaves
			return nil
		}
		conn.WriteTo(fmt.Appendf(buffer[:n], " to worker %d", os.Getpid()), from)
	}
}

// errorText returns the text of an error, and whether the address is busy.
func errorText(err error) string {
	return fmt.Sprintf("%v; busy: %t", err, errors.Is(err, syscall.EADDRINUSE))
}

// describe returns what this process is in a cluster, and what it was started with.
func describe() string {
	id, fd := os.Getenv("NODE_UNIQUE_ID"), os.Getenv("NODE_CHANNEL_FD")
	l, err := Listen("tcp", "127.0.0.1:0")
	if err == nil {
		l.Close()
	}
	return fmt.Sprintf("primary %t, leaving %t, leave: %v, listen: %v, %q %q\n",
		IsPrimary(), Leaving() != nil, Leave(), err, id, fd)
}
