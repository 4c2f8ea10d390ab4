package drain

import (
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// An answer that begins during the drain must be the last one of its connection, however
// the handler writes it.
func TestAnswerDuringDrain(t *testing.T) {
	for name, write := range map[string]func(w http.ResponseWriter){
		"nothing":        func(http.ResponseWriter) {},
		"a status":       func(w http.ResponseWriter) { w.WriteHeader(http.StatusTeapot) },
		"bytes":          func(w http.ResponseWriter) { w.Write([]byte("late")) },
		"a file":         func(w http.ResponseWriter) { io.Copy(w, open(t)) },
		"an early flush": func(w http.ResponseWriter) { w.(http.Flusher).Flush() },
		"by controller": func(w http.ResponseWriter) {
			require.NoError(t, http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Minute)))
			require.NoError(t, http.NewResponseController(w).Flush())
		},
	} {
		t.Run(name, func(t *testing.T) {
			entered, proceed := make(chan struct{}), make(chan struct{})
			l := listen(t)
			close(l.gate)
			s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				close(entered)
				<-proceed
				write(w)
			}), l)
			c := dial(t, l)
			c.request("/")
			<-entered
			drained := drain(t.Context(), s)
			<-l.closed
			close(proceed)
			_, last := c.answer()
			require.True(t, last)
			require.NoError(t, <-drained)
		})
	}
}

func open(t *testing.T) *os.File {
	file, err := os.Open("responsewriter_test.go")
	require.NoError(t, err)
	t.Cleanup(func() { file.Close() })
	return file
}

// A handler must be able to hijack the connection, as for a WebSocket. Drain must not
// wait for such a connection.
func TestHijack(t *testing.T) {
	hijacked := make(chan net.Conn, 1)
	l := listen(t)
	close(l.gate)
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		require.NoError(t, err)
		hijacked <- conn
	}), l)
	c := dial(t, l)
	c.request("/")
	conn := <-hijacked
	require.NoError(t, <-drain(t.Context(), s))
	_, err := io.WriteString(conn, "still open")
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	received, err := io.ReadAll(c.in)
	require.NoError(t, err)
	require.Equal(t, "still open", string(received))
}
