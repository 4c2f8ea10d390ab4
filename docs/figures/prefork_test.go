package figures_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
	"playing-with-processes/internal/ipc"
)

// clients is how many clients make requests at a time.
const clients = 64

func init() { roles["serve"] = serve }

// serve serves on the listening socket that its parent sends, until the channel ends.
func serve(parent *ipc.Channel) error {
	message, err := parent.Receive()
	if err != nil {
		return err
	}
	listener, err := message.Listener()
	if err != nil {
		return err
	}
	go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "hello\n")
	}))
	if err := parent.Send(context.Background(), "serving"); err != nil {
		return err
	}
	if _, err := parent.Receive(); err != io.EOF {
		return fmt.Errorf("an unexpected message, or %w", err)
	}
	return nil
}

// servers are processes that share one listening socket.
type servers struct {
	name    string
	address string
	rates   map[load][]float64 // requests per second, of each round
}

// load is whether a client goes on using its connection.
type load string

const (
	keepAlive     load = "keep-alive"
	newConnection load = "new connection"
)

// TestPrefork prints how many more requests several processes answer than one.
func TestPrefork(t *testing.T) {
	clitest.ForkSelf(t)
	n := runtime.NumCPU()
	all := []*servers{
		start(t, "1 process", 1),
		start(t, fmt.Sprint(n, " processes"), n),
		start(t, fmt.Sprint(n, " processes, GOMAXPROCS=1 each"), n, "GOMAXPROCS=1"),
	}
	rounds, length := 1, 100*time.Millisecond
	if clitest.Soak() {
		rounds, length = 9, 500*time.Millisecond
	}
	for round := range rounds { // interleaved, because what other programs do changes
		for _, l := range []load{keepAlive, newConnection} {
			for i := range all {
				all[(round+i)%len(all)].measure(t, l, length)
			}
		}
	}
	printRates(all)
	fmt.Printf("Rounds: %d of %v; SOAK=1 takes 9 of 500ms. The %d clients use the same %d CPUs.\n", rounds, length, clients, n)
	if raceDetector() {
		fmt.Println("The race detector distorts these figures.")
	}
}

// start returns when n processes serve.
func start(t *testing.T, name string, n int, environment ...string) *servers {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close() // the children have the socket
	for range n {
		cmd := ipc.Self("serve")
		cmd.Env = append(cmd.Environ(), environment...)
		child := fork(t, cmd)
		require.NoError(t, child.SendHandle(clitest.Context(t), "server", listener.(*net.TCPListener)))
		receive(t, child)
	}
	return &servers{name, listener.Addr().String(), map[load][]float64{}}
}

// measure makes requests for some time. Each must be answered.
func (s *servers) measure(t *testing.T, l load, length time.Duration) {
	t.Helper()
	var running sync.WaitGroup
	var answered [clients]int
	var errs [clients]error
	begun := time.Now()
	for i := range clients {
		running.Go(func() { answered[i], errs[i] = client(s.address, l, begun.Add(length)) })
	}
	running.Wait()
	took := time.Since(begun)
	var sum int
	for i := range clients {
		require.NoError(t, errs[i], "%s, %s", s.name, l)
		require.Positive(t, answered[i])
		sum += answered[i]
	}
	s.rates[l] = append(s.rates[l], float64(sum)/took.Seconds())
}

// client makes requests until a moment, and at least one.
func client(address string, l load, until time.Time) (answered int, err error) {
	for answered == 0 || time.Now().Before(until) {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return answered, err
		}
		conn.(*net.TCPConn).SetLinger(0) // leaves no connection in TIME_WAIT
		n, err := converse(conn, l, until)
		conn.Close()
		answered += n
		if err != nil {
			return answered, err
		}
	}
	return answered, nil
}

// converse makes one request on a new connection, or requests until a moment.
func converse(conn net.Conn, l load, until time.Time) (answered int, err error) {
	request := "GET / HTTP/1.1\r\nHost: figures\r\nConnection: close\r\n\r\n"
	if l == keepAlive {
		request = "GET / HTTP/1.1\r\nHost: figures\r\n\r\n"
	}
	responses := bufio.NewReader(conn)
	for answered == 0 || l == keepAlive && time.Now().Before(until) {
		if _, err := io.WriteString(conn, request); err != nil {
			return answered, err
		}
		response, err := http.ReadResponse(responses, nil)
		if err != nil {
			return answered, err
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			return answered, err
		}
		answered++
	}
	return answered, nil
}

// printRates prints the rates as ratios to the first servers' in the same round: the medians.
func printRates(all []*servers) {
	rows := [][]string{{"requests per second", string(keepAlive), string(newConnection)}}
	for _, s := range all {
		cells := []string{s.name}
		for _, l := range []load{keepAlive, newConnection} {
			cells = append(cells, fmt.Sprintf("%.2f", median(ratios(s.rates[l], all[0].rates[l]))))
		}
		rows = append(rows, cells)
	}
	printTable(rows)
	fmt.Printf("The unit is what 1 process answers: %.0f and %.0f.\n", median(all[0].rates[keepAlive]), median(all[0].rates[newConnection]))
}

func ratios(rates, of []float64) []float64 {
	out := make([]float64, len(rates))
	for i := range rates {
		out[i] = rates[i] / of[i]
	}
	return out
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
