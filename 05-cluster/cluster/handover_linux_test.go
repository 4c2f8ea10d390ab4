package cluster

import (
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
)

// Each step of a connection must be reported, with its client, also if that has gone meanwhile.
func TestHandover(t *testing.T) {
	eachWorker(t, func(t *testing.T, worker []string) {
		var mu sync.Mutex
		var steps []Handover
		h := startPrimary(t, Settings{AcceptTimeout: clitest.Never, Handover: func(e Handover) {
			mu.Lock()
			defer mu.Unlock()
			steps = append(steps, e)
		}}, worker...)
		workers, address := h.fork(2)
		conn := freeze(t, h, workers[0], address)
		client := addrPortOf(conn)
		workers[0].Signal(syscall.SIGKILL)
		require.Equal(t, workers[1].String(), body(t, conn))
		want := []Handover{
			{Given, workers[0], client}, {Returned, workers[0], client}, {Given, workers[1], client}, {Accepted, workers[1], client},
		}
		var got []Handover
		clitest.Eventually(t, func() bool { // the client may have the answer first
			mu.Lock()
			defer mu.Unlock()
			got = nil
			for _, e := range steps {
				if e.Client == client {
					got = append(got, e)
				}
			}
			return len(got) == len(want)
		})
		require.Equal(t, want, got)
	})
}

// A connection that no worker could have must be reported as reset.
func TestHandoverReset(t *testing.T) {
	var reset []Handover
	p := fakePrimary(t)
	p.settings.Handover = func(e Handover) { reset = append(reset, e) }
	_, d := p.addWorker(t)
	conn := dialQueued(t, d)
	d.rejectAll()
	require.Equal(t, []Handover{{Reset, nil, addrPortOf(conn)}}, reset)
}

// addrPortOf returns a client's own address.
func addrPortOf(conn net.Conn) netip.AddrPort {
	return netip.MustParseAddrPort(conn.LocalAddr().String())
}
