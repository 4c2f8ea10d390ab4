package cluster

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
	"playing-with-processes/internal/ipc"
	"playing-with-processes/internal/supervise"
)

// nodeEnds are the ways in which ends.js can end, and what a primary reports.
var nodeEnds = []struct {
	how       string
	code      int
	announced bool
	reason    supervise.Reason
	why       string
}{
	{"/disconnect", 0, true, supervise.ReasonExited, ""},
	{"/kill", 0, true, supervise.ReasonExited, ""},
	{"/channel", 0, false, supervise.ReasonExited, ""},
	{"/exit/0", 0, false, supervise.ReasonExited, ""},
	{"/exit/3", 3, false, supervise.ReasonCrashed, ""},
	{"/crash", 1, false, supervise.ReasonCrashed, "TypeError: all is lost"},
}

// However a worker ends, it must be replaced, and its replacement must listen.
func TestNodeEnds(t *testing.T) {
	eachNodePolicy(t, func(t *testing.T, policy Policy) {
		c := startOwnCluster(t, policy, 1, "testdata/ends.js")
		for _, end := range nodeEnds {
			e := c.endWorker(end.how)
			require.Equal(t, ipc.Exit{Code: end.code}, e.Exit, end.how)
			require.Equal(t, end.announced, e.AfterDisconnect, end.how)
			require.Equal(t, end.reason, e.Reason, end.how)
			require.Equal(t, end.why, e.Why, end.how)
			if end.why == "" {
				requireSilent(t, e.Worker)
			}
		}
		anyListening(c.harness)
	})
}

// Node's own primary must report the same.
func TestNodeEndsUnderNode(t *testing.T) {
	eachNodePolicy(t, func(t *testing.T, policy Policy) {
		c := startNodeCluster(t, policy, 1, "testdata/ends.js")
		for _, end := range nodeEnds {
			e := c.endWorker(end.how)
			require.Equal(t, ipc.Exit{Code: end.code}, e.Exit, end.how)
			require.Equal(t, end.announced, e.AfterDisconnect, end.how)
		}
		c.stop()
	})
}

// A worker that is asked to leave must finish its requests.
func TestNodeLeave(t *testing.T) {
	t.Parallel()
	for how, leave := range map[string]func(h *harness, w *Worker){
		"leave":    func(_ *harness, w *Worker) { w.Leave() },
		"shutdown": func(h *harness, _ *Worker) { go h.Shutdown(h.t.Context()) },
	} {
		t.Run(how, func(t *testing.T) {
			eachNodePolicy(t, func(t *testing.T, policy Policy) {
				h, _ := startTraced(t, Settings{Policy: policy, DrainTimeout: clitest.Never}, "testdata/echo.js")
				workers, address := h.fork(1)
				e := newEcho(t, address)
				e.begin("close")
				leave(h, workers[0])
				h.awaitLine(`receive .*"act":"close".*`)
				e.end()
				require.NoError(t, e.err)
				exit := h.exitOf(workers[0])
				require.Zero(t, exit.Exit)
				require.True(t, exit.AfterDisconnect)
				requireSilent(t, workers[0])
			})
		})
	}
}

// A connection on which Node's server answers one request after the other must be cut off
// after DrainTimeout.
func TestNodeDrainTimeout(t *testing.T) {
	eachNodePolicy(t, func(t *testing.T, policy Policy) {
		const drain = 500 * time.Millisecond
		h, _ := startTraced(t, Settings{Policy: policy, DrainTimeout: drain}, "testdata/echo.js")
		workers, address := h.fork(1)
		e := newEcho(t, address)
		e.begin("keep-alive")
		asked := time.Now()
		workers[0].Leave()
		h.awaitLine(`receive .*"act":"close".*`)
		for e.err == nil {
			e.endAndBegin()
		}
		require.GreaterOrEqual(t, time.Since(asked), drain)
		exit := h.exitOf(workers[0])
		require.Equal(t, syscall.SIGTERM, exit.Exit.Signal)
		require.True(t, exit.AfterDisconnect)
	})
}

// echoClient is a client of echo.js. Its requests last as long as it wants.
type echoClient struct {
	conn     net.Conn
	answers  *bufio.Reader
	response *http.Response
	err      error // the first error
}

func newEcho(t *testing.T, address string) *echoClient {
	conn := dial(t, "tcp", address)
	return &echoClient{conn: conn, answers: bufio.NewReader(conn)}
}

const (
	echoBegin = "POST / HTTP/1.1\r\nHost: x\r\nConnection: %s\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n"
	echoEnd   = "4\r\nlast\r\n0\r\n\r\n"
)

func (e *echoClient) begin(connection string) {
	e.send(fmt.Sprintf(echoBegin, connection))
	e.readFirst()
}

func (e *echoClient) end() {
	e.send(echoEnd)
	e.readLast()
}

// endAndBegin sends the next request in the same packet.
func (e *echoClient) endAndBegin() {
	e.send(echoEnd + fmt.Sprintf(echoBegin, "keep-alive"))
	e.readLast()
	e.readFirst()
}

func (e *echoClient) send(text string) {
	if e.err == nil {
		_, e.err = io.WriteString(e.conn, text)
	}
}

func (e *echoClient) readFirst() {
	if e.err == nil {
		e.response, e.err = http.ReadResponse(e.answers, nil)
	}
	if e.err == nil {
		_, e.err = io.ReadFull(e.response.Body, make([]byte, len("first")))
	}
}

func (e *echoClient) readLast() {
	if e.err != nil {
		return
	}
	var rest []byte
	if rest, e.err = io.ReadAll(e.response.Body); e.err == nil && string(rest) != "last" {
		e.err = fmt.Errorf("the answer ends with %q", rest)
	}
}

// A worker that has finished its requests, and is kept running by something else, must be sent
// SIGTERM soon and not when the time for its requests is over. That is no request cut off.
func TestNodeLeavesDespiteTimer(t *testing.T) {
	eachNodePolicy(t, func(t *testing.T, policy Policy) {
		h, setCommand := startChanging(t, Settings{Policy: policy, DrainTimeout: clitest.Never, ExitTimeout: time.Millisecond}, "node", "testdata/timer.js")
		plain, _ := h.fork(1)
		setCommand("node", "testdata/timer.js", "0")
		handling, _ := h.fork(1)
		plain[0].Leave()
		handling[0].Leave()
		require.Equal(t, syscall.SIGTERM, h.exitOf(plain[0]).Exit.Signal)
		require.Zero(t, h.exitOf(handling[0]).Exit)
		require.NoError(t, h.Shutdown(clitest.Context(t)))
		require.Zero(t, h.Unfinished())
	})
}
