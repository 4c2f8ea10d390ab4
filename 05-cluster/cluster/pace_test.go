package cluster

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// After the first connection, each must wait until a request has begun, or for requestTime.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace()
		handler := p.handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		waits := func() time.Duration {
			begun := time.Now()
			p.await()
			return time.Since(begun)
		}
		require.Zero(t, waits(), "the first")
		require.Equal(t, requestTime, waits(), "no request")
		handler.ServeHTTP(nil, nil)
		handler.ServeHTTP(nil, nil)
		require.Zero(t, waits(), "a request has begun")
		require.Equal(t, requestTime, waits(), "it counts once")
		time.AfterFunc(requestTime/2, func() { handler.ServeHTTP(nil, nil) })
		require.Equal(t, requestTime/2, waits(), "a request begins meanwhile")
		require.Zero(t, func() time.Duration { p = nil; return waits() }(), "without Serve")
	})
}

// With Serve, clients that connect and send nothing must not keep others from being served.
func TestPaceWithSilentClients(t *testing.T) {
	t.Parallel()
	for _, policy := range Policies() {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			h := startPrimary(t, Settings{Policy: policy}, goHTTP...)
			_, address := h.fork(2)
			for range 50 {
				dial(t, "tcp", address)
			}
			for range 20 {
				require.Contains(t, get(t, "tcp", address), "worker")
			}
		})
	}
}
