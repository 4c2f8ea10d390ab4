package cluster

import (
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// waits returns how long a call of await waits.
func (p *pace) waits() time.Duration {
	begun := time.Now()
	p.await()
	return time.Since(begun)
}

// After the first connection, each must wait until a request has begun, or for requestTime.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace()
		handler := p.handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		require.Zero(t, p.waits(), "the first")
		handler.ServeHTTP(nil, nil)
		handler.ServeHTTP(nil, nil)
		require.Zero(t, p.waits(), "a request has begun")
		time.AfterFunc(requestTime/2, func() { handler.ServeHTTP(nil, nil) })
		require.Equal(t, requestTime/2, p.waits(), "a request begins meanwhile")
		require.Equal(t, requestTime, p.waits(), "no request")
		p = nil
		require.Zero(t, p.waits(), "without Serve")
	})
}

// Clients that connect and send nothing must hardly delay others, and requests must restore the
// pace.
func TestPaceWithSilentClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace()
		handler := p.handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		begun := time.Now()
		for range 1000 {
			p.await()
		}
		require.Less(t, time.Since(begun), 2*requestTime+1000*leastRequestTime)
		for range 10 {
			handler.ServeHTTP(nil, nil)
			p.await()
		}
		require.Equal(t, requestTime, p.waits())
	})
}

// Serve must pace a listener of the cluster.
func TestServePaces(t *testing.T) {
	l := &listener{registration: registration{addr: &net.TCPAddr{}}, closed: true}
	require.ErrorIs(t, Serve(l, http.NotFoundHandler()), net.ErrClosed)
	require.NotNil(t, l.pace.Load())
}
