package watch

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// A browser that does not read must be dropped, and the others must get every frame.
func TestSlowBrowserDropped(t *testing.T) {
	var s streams
	slow, quick := s.add(), s.add()
	for i := range lag + 1 {
		s.send([]byte(fmt.Sprint(i)))
		require.Equal(t, fmt.Sprint(i), string(<-quick))
	}
	require.Len(t, s.all, 1)
	for range lag {
		<-slow
	}
	_, open := <-slow
	require.False(t, open)
	s.remove(slow) // as its handler does
	require.True(t, s.watched())
	s.remove(quick)
	require.False(t, s.watched())
}

// Too many browsers must be told to wait, and there must be room when one has left.
func TestTooManyBrowsers(t *testing.T) {
	var s streams
	var first chan []byte
	for range maxStreams {
		first = s.add()
	}
	answer := httptest.NewRecorder()
	s.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/frames", nil))
	require.Equal(t, http.StatusServiceUnavailable, answer.Code)
	require.Equal(t, "5", answer.Header().Get("Retry-After"))
	require.Equal(t, "64 browsers are watching: wait until one has left\n", answer.Body.String())
	s.remove(first)
	require.NotNil(t, s.add())
}
