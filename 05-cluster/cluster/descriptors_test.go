package cluster

import (
	"io"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"playing-with-processes/internal/clitest"
	"playing-with-processes/internal/ipc"
)

// What a worker does that is short of descriptors.

// manyConns is more than a worker with fewDescriptors can have.
const (
	fewDescriptors = 40
	manyConns      = 60
)

func init() {
	roles["few descriptors"] = func(args ...string) error {
		limit := unix.Rlimit{Cur: fewDescriptors, Max: fewDescriptors}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			return err
		}
		return newWorkerServer().serve(args, 0)
	}
}

// A worker without room for another connection must refuse it, and be offered it again: all
// connections are served once the first have ended, and the worker is not killed.
func TestShortOfDescriptors(t *testing.T) {
	t.Parallel()
	for _, policy := range []Policy{RoundRobin, Sticky} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			refused := make(chan bool, 1)
			h := startPrimary(t, Settings{Policy: policy, Trace: func(_ int, e ipc.Event) {
				if strings.Contains(string(e.Line), `"accepted":false`) {
					select {
					case refused <- true:
					default:
					}
				}
			}}, "go", "few descriptors", "tcp", "127.0.0.1:0")
			workers, address := h.fork(1)
			serve := openMany(t, address)
			select {
			case <-refused:
			case <-clitest.Context(t).Done():
				require.FailNow(t, "no connection was refused")
			}
			serve(workers[0].String())
		})
	}
}

// openMany begins many requests. The returned function finishes them, one after the other,
// and requires that a worker answers each.
func openMany(t *testing.T, address string) (serve func(worker string)) {
	t.Helper()
	var conns []net.Conn
	for range manyConns {
		conn := dial(t, "tcp", address)
		_, err := io.WriteString(conn, "POST /open HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nConnection: close\r\n\r\n")
		require.NoError(t, err)
		conns = append(conns, conn)
	}
	return func(worker string) {
		t.Helper()
		for _, conn := range conns {
			_, err := io.WriteString(conn, "x")
			require.NoError(t, err)
			require.Equal(t, worker, body(t, conn))
		}
	}
}

// If the handle of a reply is lost, the worker must get an error for its query, and the port be
// closed again.
func TestReplyWithoutItsHandle(t *testing.T) {
	p := fakePrimary(t)
	p.settings.Policy = None
	w, err := p.Fork()
	require.NoError(t, err)
	q := query{Address: new(string), Port: new(int), AddressType: []byte("4")}
	*q.Address = "127.0.0.1"
	w.answerQuery(message{Seq: 7, Where: &q, Data: null})
	sent, _ := takeUnsent(w)
	require.NotNil(t, sent.handle)
	w.handleLost(sent.message)
	refused, _ := takeUnsent(w)
	reply := refused.message
	require.Equal(t, int64(7), *reply.Ack)
	require.Equal(t, -int(unix.EMFILE), reply.errno())
	require.Empty(t, w.ports)
	require.Empty(t, p.ports)
}
