package cluster

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
	"playing-with-processes/internal/demo"
)

func init() {
	roles["site"] = func(args ...string) error { return newWorkerServer().serve(args, 0) }
	roles["full"] = func(args ...string) error { return newWorkerServer().serve(args, 1) }
	roles["packets"] = packets
	roles["who"] = func(...string) error { _, err := fmt.Print(who()); return err }
}

// workerServer is a worker that does what its visitors ask for.
type workerServer struct {
	serving sync.WaitGroup
	last    chan net.Listener // of /listen
}

func newWorkerServer() *workerServer { return &workerServer{last: make(chan net.Listener, 1)} }

// serve serves the addresses, each a network and an address, and what is added later.
// If most is not 0, each listener has so many connections at a time.
func (g *workerServer) serve(addresses []string, most int) error {
	for i := 0; i < len(addresses); i += 2 {
		l, err := Listen(addresses[i], addresses[i+1])
		if err != nil {
			return err
		}
		fmt.Printf("worker %d: %v\n", os.Getpid(), l.Addr())
		if most > 0 {
			l = limited{l, make(chan struct{}, most)}
		}
		g.add(l)
	}
	g.serving.Wait()
	return nil
}

func (g *workerServer) add(l net.Listener) {
	g.serving.Go(func() {
		if err := Serve(l, g); !errors.Is(err, net.ErrClosed) && err != nil { // by /close
			fmt.Fprintln(os.Stderr, err)
		}
	})
}

func (g *workerServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/open": // until the visitor has finished the request
		fmt.Printf("worker %d: open\n", os.Getpid())
		io.Copy(io.Discard, r.Body)
	case "/leave":
		fmt.Fprintln(w, Leave())
		return
	case "/listen":
		l, err := Listen(r.FormValue("network"), r.FormValue("address"))
		if err != nil {
			fmt.Fprint(w, complaint(err))
			return
		}
		g.last <- l
		g.add(l)
		fmt.Fprint(w, l.Addr())
		return
	case "/close":
		fmt.Fprint(w, (<-g.last).Close())
		return
	case "/child":
		path, _ := os.Executable()
		out, err := exec.Command(path, "who").CombinedOutput()
		fmt.Fprintf(w, "%s%v", out, err)
		return
	}
	fmt.Fprintf(w, "worker %d", os.Getpid())
}

// limited has so many connections at a time as there is room for.
type limited struct {
	net.Listener
	room chan struct{}
}

func (l limited) Accept() (net.Conn, error) {
	l.room <- struct{}{}
	leave := sync.OnceFunc(func() { <-l.room })
	conn, err := l.Listener.Accept()
	if err != nil {
		leave()
		return nil, err
	}
	return serverConn{conn, leave}, nil
}

type serverConn struct {
	net.Conn
	leave func()
}

func (c serverConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}

// packets answers each packet.
func packets(args ...string) error {
	conn, err := ListenPacket(args[0], args[1])
	if err != nil {
		fmt.Println(complaint(err))
		return nil
	}
	fmt.Printf("worker %d: %v\n", os.Getpid(), conn.LocalAddr())
	for buffer := make([]byte, 100); ; {
		n, from, err := conn.ReadFrom(buffer)
		if err != nil { // left
			return nil
		}
		conn.WriteTo(fmt.Appendf(buffer[:n], " to worker %d", os.Getpid()), from)
	}
}

func complaint(err error) string {
	return fmt.Sprintf("%v; busy: %t", err, errors.Is(err, syscall.EADDRINUSE))
}

// who tells what this process is in a cluster, and what it was started with.
func who() string {
	id, fd := os.Getenv("NODE_UNIQUE_ID"), os.Getenv("NODE_CHANNEL_FD")
	l, err := Listen("tcp", "127.0.0.1:0")
	if err == nil {
		l.Close()
	}
	return fmt.Sprintf("primary %t, leaving %t, leave: %v, listen: %v, %q %q\n",
		IsPrimary(), Leaving() != nil, Leave(), err, id, fd)
}

// nodePrimary is Node's primary with Go workers.
type nodePrimary struct {
	*harness
	cmd     *exec.Cmd
	orders  io.WriteCloser
	reading sync.WaitGroup // of its output
	stderr  strings.Builder
	ended   chan struct{}
	killed  bool
}

// workerReport is what Node's primary tells of a worker.
type workerReport struct {
	ID, PID     int
	Address     string // of listening
	Port        int
	AddressType any
	Code        *int // of exit
	Signal      string
	Polite      bool // exitedAfterDisconnect
}

// underNode runs a test under Node's primary, with either policy.
func underNode(t *testing.T, test func(t *testing.T, policy Policy)) {
	t.Parallel()
	clitest.NeedNode(t)
	for _, policy := range nodePolicies {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			test(t, policy)
		})
	}
}

// visit starts Node's primary for workers of this role. At the end of the test it ends its
// cluster, politely and without a complaint.
func startNode(t *testing.T, policy Policy, role ...string) *nodePrimary {
	t.Helper()
	self := clitest.Command(t, clitest.Self(t)) // its clean-up comes last
	words := append([]string{"testdata/primary_of_go.js", self.Path}, role...)
	h := &nodePrimary{harness: &harness{t: t}, cmd: exec.Command("node", words...), ended: make(chan struct{})}
	h.more.L = &h.mu
	h.cmd.Env = append(self.Env, "NODE_CLUSTER_SCHED_POLICY="+string(policy))
	out, stdout, err := os.Pipe() // with files, Wait waits for Node alone
	require.NoError(t, err)
	errs, stderr, err := os.Pipe()
	require.NoError(t, err)
	h.cmd.Stdout, h.cmd.Stderr = stdout, stderr
	h.orders, err = h.cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, h.cmd.Start())
	stdout.Close()
	stderr.Close()
	h.reading.Go(func() {
		io.Copy(h, out)
		h.mu.Lock()
		h.over = true
		h.mu.Unlock()
		h.more.Broadcast()
	})
	h.reading.Go(func() { io.Copy(&h.stderr, errs) })
	go func() {
		h.cmd.Wait()
		close(h.ended)
	}()
	t.Cleanup(func() {
		h.orders.Close()
		defer time.AfterFunc(patience, func() { h.cmd.Process.Kill() }).Stop()
		<-h.ended
		for _, end := range []*os.File{out, errs} { // the workers have it, too
			end.SetReadDeadline(time.Now().Add(patience))
			defer end.Close()
		}
		h.reading.Wait()
		require.Empty(t, h.stderr.String())
		require.True(t, h.killed || h.cmd.ProcessState.Success(), "%v", h.cmd.ProcessState)
	})
	return h
}

// kill ends Node, and only Node.
func (h *nodePrimary) kill() {
	h.t.Helper()
	h.killed = true
	require.NoError(h.t, h.cmd.Process.Kill())
	<-h.ended
}

// requireGone requires that a worker has ended well a second after its primary, at the
// latest.
func requireGone(t *testing.T, w workerReport) {
	t.Helper()
	var end, status syscall.WaitStatus
	require.Eventually(t, func() bool {
		pid, _ := syscall.Wait4(w.PID, &status, syscall.WNOHANG, nil) // on Linux this process inherits it
		if pid == w.PID {
			end = status
		}
		return syscall.Kill(w.PID, 0) == syscall.ESRCH
	}, time.Second, time.Millisecond, "it has outlived its primary")
	require.Zero(t, end)
}

func (h *nodePrimary) order(format string, args ...any) {
	h.t.Helper()
	_, err := fmt.Fprintf(h.orders, format+"\n", args...)
	require.NoError(h.t, err)
}

// told waits for an event, of the worker with this number, unless it is 0.
func (h *nodePrimary) told(event string, id int) (d workerReport) {
	h.t.Helper()
	number := `\d+`
	if id > 0 {
		number = fmt.Sprint(id)
	}
	line := h.awaitLine(fmt.Sprintf(`(\{"event":"%s","id":%s,.*\})`, event, number))
	require.NoError(h.t, json.Unmarshal([]byte(line), &d))
	return d
}

// invite forks n workers, waits until they listen, and returns the address as the last one
// knows it.
func (h *nodePrimary) invite(n int) (workers []workerReport, address string) {
	h.t.Helper()
	for range n {
		h.order("fork")
		workers = append(workers, h.told("fork", 0))
	}
	for i, w := range workers {
		workers[i] = h.told("listening", w.ID)
		workers[i].PID = w.PID
		address = h.addressOf(w)
	}
	return workers, address
}

// addressOf waits for the next address that a worker prints.
func (h *nodePrimary) addressOf(w workerReport) string {
	h.t.Helper()
	return h.awaitLine(fmt.Sprintf(`worker %d: (\S*[:/]\S*)`, w.PID))
}

// page is the answer to a request for a path, on a connection of its own.
func page(t *testing.T, address, path string) string {
	t.Helper()
	response, err := demo.Request(dial(t, "tcp", address), path)
	require.NoError(t, err)
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return strings.TrimSpace(string(text))
}

// visitor has made a request that is being served until it is finished.
type visitor struct {
	net.Conn
	t *testing.T
}

func (h *nodePrimary) open(address string) visitor {
	h.t.Helper()
	v := visitor{dial(h.t, "tcp", address), h.t}
	_, err := io.WriteString(v, "POST /open HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n")
	require.NoError(h.t, err)
	h.awaitLine(`worker \d+: open`)
	return v
}

// finish returns the answer, which does not say by itself that it is the last one.
func (v visitor) finish() *http.Response {
	v.t.Helper()
	_, err := io.WriteString(v, "x")
	require.NoError(v.t, err)
	response, err := http.ReadResponse(bufio.NewReader(v), nil)
	require.NoError(v.t, err)
	_, err = io.ReadAll(response.Body)
	require.NoError(v.t, err)
	return response
}

// names are what workers answer.
func names(workers ...workerReport) (all []string) {
	for _, w := range workers {
		all = append(all, fmt.Sprintf("worker %d", w.PID))
	}
	return all
}

// Whatever the address, all workers have the same one, answer there, and tell Node where.
func TestUnderNodeListen(t *testing.T) {
	for _, c := range []struct {
		network, address, want string
		told                   string
		kind                   any
	}{
		{"tcp", "127.0.0.1:0", `127\.0\.0\.1:\d+`, "127.0.0.1", 4.},
		{"tcp", "localhost:0", `127\.0\.0\.1:\d+`, "127.0.0.1", 4.},
		{"tcp4", ":0", `0\.0\.0\.0:\d+`, "0.0.0.0", 4.},
		{"tcp6", ":0", `\[::]:\d+`, "::", 6.},
		{"tcp6", "[::1]:0", `\[::1]:\d+`, "::1", 6.},
		{"tcp", ":0", `\[::]:\d+`, "", 4.}, // Node says 4, too, where no nodePrimary is given
		{"udp", "127.0.0.1:0", `127\.0\.0\.1:\d+`, "127.0.0.1", "udp4"},
		{"udp4", ":0", `0\.0\.0\.0:\d+`, "0.0.0.0", "udp4"},
		{"udp6", "[::1]:0", `\[::1]:\d+`, "::1", "udp6"},
		{"udp", ":0", `\[::]:\d+`, "::", "udp6"},
	} {
		t.Run(c.network+" "+c.address, func(t *testing.T) {
			if strings.Contains(c.want, `[`) {
				if l, err := net.Listen("tcp6", "[::1]:0"); err != nil {
					t.Skip(err)
				} else {
					l.Close()
				}
			}
			underNode(t, func(t *testing.T, policy Policy) {
				role := "site"
				if c.network[:3] == "udp" {
					role = "packets"
				}
				h := startNode(t, policy, role, c.network, c.address)
				workers, address := h.invite(1)
				others, same := h.invite(1)
				require.Regexp(t, "^"+c.want+"$", address)
				require.Equal(t, address, same)
				conn := dial(t, c.network, address)
				require.NoError(t, askFor(conn))
				answer, err := io.ReadAll(io.LimitReader(conn, 1))
				require.NoError(t, err)
				require.NotEmpty(t, answer)

				_, port, err := net.SplitHostPort(address)
				require.NoError(t, err)
				for _, w := range append(workers, others...) {
					require.Equal(t, c.told, w.Address)
					require.Equal(t, port, fmt.Sprint(w.Port))
					require.Equal(t, c.kind, w.AddressType)
				}
			})
		})
	}
}

func TestUnderNodeListenUnix(t *testing.T) {
	underNode(t, func(t *testing.T, policy Policy) {
		path := filepath.Join(t.TempDir(), "s")
		h := startNode(t, policy, "site", "unix", path)
		workers, address := h.invite(2)
		require.Equal(t, path, address)
		require.Contains(t, names(workers...), get(t, "unix", path))
		for _, w := range workers {
			require.Equal(t, workerReport{ID: w.ID, PID: w.PID, Address: path, Port: -1, AddressType: -1.}, w)
		}
	})
}

// The second port 0 of each worker is another port, which they have together as well.
func TestUnderNodeTwoPorts(t *testing.T) {
	underNode(t, func(t *testing.T, policy Policy) {
		h := startNode(t, policy, "site", "tcp", "127.0.0.1:0", "tcp", "127.0.0.1:0")
		workers, first := h.invite(1)
		second := h.addressOf(workers[0])
		others, again := h.invite(1)
		require.Equal(t, first, again)
		require.Equal(t, second, h.addressOf(others[0]))
		require.NotEqual(t, first, second)
		for _, address := range []string{first, second} {
			require.Contains(t, names(workers[0], others[0]), get(t, "tcp", address))
		}
	})
}

// What is closed is free, and can be had again; the worker's other listener goes on.
func TestUnderNodeListenAgain(t *testing.T) {
	underNode(t, func(t *testing.T, policy Policy) {
		h := startNode(t, policy, "site", "tcp", "127.0.0.1:0")
		_, control := h.invite(1)
		address := page(t, control, "/listen?network=tcp&address=127.0.0.1:0")
		for range 3 {
			page(t, address, "/")
			require.Equal(t, "<nil>", page(t, control, "/close"))
			require.Eventually(t, func() bool { // once Node knows
				conn, err := net.Dial("tcp", address)
				if err == nil {
					conn.Close()
				}
				return errors.Is(err, syscall.ECONNREFUSED)
			}, patience, time.Millisecond)
			require.Equal(t, address, page(t, control, "/listen?network=tcp&address="+address))
		}
		page(t, address, "/")
	})
}

// A worker that comes late shares in what there is.
func TestUnderNodeLate(t *testing.T) {
	underNode(t, func(t *testing.T, policy Policy) {
		h := startNode(t, policy, "site", "tcp", "127.0.0.1:0")
		first, address := h.invite(1)
		require.Equal(t, names(first[0])[0], get(t, "tcp", address))
		late, _ := h.invite(1)
		h.order("disconnect %d", first[0].ID)
		h.told("exit", first[0].ID)
		require.Equal(t, names(late[0])[0], get(t, "tcp", address))
	})
}

// A busy port is the error that it is without a cluster, and no obstacle later.
func TestUnderNodeBusy(t *testing.T) {
	underNode(t, func(t *testing.T, policy Policy) {
		h := startNode(t, policy, "site", "tcp", "127.0.0.1:0")
		_, control := h.invite(1)
		path := filepath.Join(t.TempDir(), "s")
		for network, address := range map[string]string{ // not of the ports that the kernel gives to clients
			"tcp":  fmt.Sprintf("127.0.0.1:%d", freePort(t)),
			"tcp4": fmt.Sprintf(":%d", freePort(t)),
			"tcp6": fmt.Sprintf("[::1]:%d", freePort(t)),
			"unix": path,
		} {
			holder, err := net.Listen(network, address)
			require.NoError(t, err)
			address = holder.Addr().String()
			_, err = net.Listen(network, address)
			require.ErrorIs(t, err, syscall.EADDRINUSE)
			request := "/listen?network=" + network + "&address=" + address
			require.Equal(t, complaint(err), page(t, control, request))
			require.NoError(t, holder.Close())
			// A process that another test is starting has it until its exec.
			got := page(t, control, request)
			for deadline := time.Now().Add(patience); got != address; got = page(t, control, request) {
				require.True(t, time.Now().Before(deadline), got)
			}
			require.Equal(t, "<nil>", page(t, control, "/close"))
		}
	})
}

// What is wrong with an address is said as net.Listen says it, whoever has found out.
func TestUnderNodeWrong(t *testing.T) {
	underNode(t, func(t *testing.T, policy Policy) {
		h := startNode(t, policy, "site", "tcp", "127.0.0.1:0")
		_, control := h.invite(1)
		for _, wrong := range [][2]string{
			{"tcp", "192.0.2.1:0"}, // is somebody else's
			{"tcp", "127.0.0.1:65536"},
			{"tcp", "127.0.0.1"},
			{"tcp6", "127.0.0.1:0"},
			{"carrier", "pigeon"},
		} {
			_, err := net.Listen(wrong[0], wrong[1])
			require.Equal(t, complaint(err), page(t, control, "/listen?network="+wrong[0]+"&address="+wrong[1]))
		}
	})
}

func TestUnderNodeBusyPacket(t *testing.T) {
	underNode(t, func(t *testing.T, policy Policy) {
		holder, err := net.ListenPacket("udp", "127.0.0.1:0")
		require.NoError(t, err)
		defer holder.Close()
		_, err = net.ListenPacket("udp", holder.LocalAddr().String())
		require.ErrorIs(t, err, syscall.EADDRINUSE)
		h := startNode(t, policy, "packets", "udp", holder.LocalAddr().String())
		h.order("fork")
		require.Equal(t, complaint(err), h.awaitLine(`(.*busy.*)`))
		h.told("exit", 0)
	})
}

// A worker that was killed is replaced, at the same address.
func TestUnderNodeRestart(t *testing.T) {
	underNode(t, func(t *testing.T, policy Policy) {
		h := startNode(t, policy, "site", "tcp", "127.0.0.1:0")
		workers, address := h.invite(2)
		h.order("restart")
		for _, w := range workers {
			h.order("kill %d SIGKILL", w.ID)
			require.Equal(t, "SIGKILL", h.told("exit", w.ID).Signal)
			w = h.told("fork", 0)
			h.told("listening", w.ID)
			require.Equal(t, address, h.addressOf(w))
		}
		require.NotContains(t, names(workers...), get(t, "tcp", address))
	})
}

// requireLeft waits for a worker's end, which must be a good one.
func (h *nodePrimary) requireLeft(w workerReport) {
	h.t.Helper()
	end := h.told("exit", w.ID)
	require.Zero(h.t, *end.Code)
	require.True(h.t, end.Polite)
}

// Who is told to leave finishes what is open, and tells its clients to go elsewhere.
func TestUnderNodeDisconnect(t *testing.T) {
	underNode(t, func(t *testing.T, policy Policy) {
		h := startNode(t, policy, "site", "tcp", "127.0.0.1:0")
		workers, address := h.invite(1)
		slow, other := h.open(address), dial(t, "tcp", address)
		in := bufio.NewReader(other)
		isLast := func() bool {
			_, err := io.WriteString(other, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			require.NoError(t, err)
			response, err := http.ReadResponse(in, nil)
			require.NoError(t, err)
			_, err = io.ReadAll(response.Body)
			require.NoError(t, err)
			return response.Close
		}
		require.False(t, isLast())
		h.order("disconnect %d", workers[0].ID)
		for !isLast() {
		}
		require.True(t, slow.finish().Close)
		h.requireLeft(workers[0])
	})
}

// Who wants to leave tells Node first.
func TestUnderNodeLeave(t *testing.T) {
	underNode(t, func(t *testing.T, policy Policy) {
		h := startNode(t, policy, "site", "tcp", "127.0.0.1:0")
		workers, address := h.invite(1)
		slow := h.open(address)
		require.Equal(t, "<nil>", page(t, address, "/leave"))
		slow.finish()
		slow.Close()
		h.requireLeft(workers[0])
	})
}

// Without its primary a worker ends, busy or not, and so the port is free.
func TestUnderNodePrimaryKilled(t *testing.T) {
	underNode(t, func(t *testing.T, policy Policy) {
		h := startNode(t, policy, "site", "tcp", "127.0.0.1:0")
		workers, address := h.invite(2)
		h.open(address)
		h.kill()
		for _, w := range workers {
			requireGone(t, w)
		}
		l, err := net.Listen("tcp", address)
		require.NoError(t, err)
		require.NoError(t, l.Close())
	})
}

// One after the other, everybody has the turn, nearly: what a worker says of a connection is
// with Node before the answer is with the client, but Node may accept the next
// connections before it listens to the workers. Then it is not always the same who is heard first.
func TestUnderNodeSpread(t *testing.T) {
	t.Parallel()
	clitest.NeedNode(t)
	const requests, odd = 100, 5
	h := startNode(t, RoundRobin, "site", "tcp", "127.0.0.1:0")
	workers, address := h.invite(2)
	answered := map[string]int{}
	for range requests {
		answered[get(t, "tcp", address)]++
	}
	for _, name := range names(workers...) {
		require.InDelta(t, requests/2, answered[name], odd, answered)
	}
}

// Who has no room lets the others have the connection. Node asks again at once; that it
// is not always busy with it is because the worker takes its time.
func TestUnderNodeFull(t *testing.T) {
	underNode(t, func(t *testing.T, policy Policy) {
		h := startNode(t, policy, "full", "tcp", "127.0.0.1:0")
		full, address := h.invite(1)
		slow := h.open(address)
		h.invite(1)
		start := time.Now()
		require.NotEqual(t, names(full[0])[0], get(t, "tcp", address))
		if policy == RoundRobin {
			h.told("refused", full[0].ID)
			require.GreaterOrEqual(t, time.Since(start), acceptWithin)
		}
		slow.finish()
	})
}

// If nobody has room, a connection waits.
func TestUnderNodeAllFull(t *testing.T) {
	t.Parallel()
	clitest.NeedNode(t)
	h := startNode(t, RoundRobin, "full", "tcp", "127.0.0.1:0")
	_, address := h.invite(2)
	slow := h.open(address)
	h.open(address)
	start := time.Now()
	waits := dial(t, "tcp", address)
	require.NoError(t, askFor(waits))
	for n := range 2 {
		h.told("refused", 0)
		require.GreaterOrEqual(t, time.Since(start), time.Duration(n+1)*acceptWithin)
	}
	slow.finish()
	slow.Close()
	require.NotEmpty(t, body(t, waits))
}

// A worker of Node and one of Go have one port together.
func TestUnderNodeMixed(t *testing.T) {
	underNode(t, func(t *testing.T, policy Policy) {
		h := startNode(t, policy, "site", "tcp", "127.0.0.1:0")
		ours, address := h.invite(1)
		h.order("fork testdata/http.js 127.0.0.1:0")
		theirs := h.told("fork", 0)
		h.told("listening", theirs.ID)
		both := names(ours[0], theirs)
		if policy == RoundRobin {
			answered := map[string]bool{}
			for range 10 {
				answered[get(t, "tcp", address)] = true
			}
			require.Len(t, answered, 2)
		}
		h.order("disconnect %d", ours[0].ID)
		h.told("exit", ours[0].ID)
		require.Equal(t, both[1], get(t, "tcp", address))
		ours, again := h.invite(1)
		require.Equal(t, address, again)
		h.order("disconnect %d", theirs.ID)
		h.told("exit", theirs.ID)
		require.Equal(t, names(ours[0])[0], get(t, "tcp", address))
	})
}

// A worker's child is nobody's worker, though its environment was the worker's.
func TestUnderNodeGrandchild(t *testing.T) {
	underNode(t, func(t *testing.T, policy Policy) {
		h := startNode(t, policy, "site", "tcp", "127.0.0.1:0")
		_, address := h.invite(1)
		require.Equal(t, alone+"<nil>", page(t, address, "/child"))
	})
}

// alone is what who says of a process that no primary has forked.
const alone = `primary true, leaving false, leave: <nil>, listen: <nil>, "" ""` + "\n"

func TestAlone(t *testing.T) {
	t.Parallel()
	require.Equal(t, alone, who())
}

// Without a cluster the functions are those of net and net/http.
func TestAloneListen(t *testing.T) {
	t.Parallel()
	l, err := Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.IsType(t, &net.TCPListener{}, l)
	_, want := net.Listen("tcp", l.Addr().String())
	_, err = Listen("tcp", l.Addr().String())
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	require.Equal(t, want, err)
	served := make(chan error)
	go func() { served <- Serve(l, newWorkerServer()) }()
	require.Equal(t, fmt.Sprintf("worker %d", os.Getpid()), page(t, l.Addr().String(), "/"))
	require.NoError(t, l.Close())
	require.ErrorIs(t, <-served, net.ErrClosed)
}

func TestAloneListenPacket(t *testing.T) {
	t.Parallel()
	conn, err := ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	defer conn.Close()
	require.IsType(t, &net.UDPConn{}, conn)
}

// Who is said to be a worker, but has no way to a primary, is neither.
func TestAloneUniqueIDWithoutChannel(t *testing.T) {
	t.Parallel()
	cmd := clitest.Command(t, clitest.Self(t), "who")
	cmd.Env = append(cmd.Env, "NODE_UNIQUE_ID=1")
	got := clitest.Finish(t, cmd)
	const why = `[^,]*NODE_CHANNEL_FD[^,]*`
	require.Regexp(t, `^primary false, leaving false, leave: `+why+`, listen: `+why+`, "1" ""\n$`, got.Stdout)
	require.Empty(t, got.Stderr)
}
