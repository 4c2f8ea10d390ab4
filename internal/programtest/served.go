package programtest

import (
	"io"
	"net"
	"strings"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/visitors"
)

// Visit asks for path and returns the answer, which there must be.
func (r *Running) Visit(path string) string {
	r.t.Helper()
	answer, err := visitors.Visit(r.t.Context(), r.Address, path)
	require.NoError(r.t, err)
	return answer
}

// Begin makes a request, and returns once it is being served. The function that it
// returns waits for the answer, or for the error that comes in its place.
func (r *Running) Begin(path string) (finished func() (answer string)) {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.Address)
	require.NoError(r.t, err)
	r.t.Cleanup(func() { conn.Close() })
	response, err := visitors.Request(conn, path)
	require.NoError(r.t, err)
	return func() string {
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return err.Error()
		}
		return strings.TrimSpace(string(body))
	}
}
