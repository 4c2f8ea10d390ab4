package clitest

import (
	"io"
	"net"
	"strings"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/demo"
)

// Get makes a request, which must be answered.
func (r *Running) Get(path string) (answer string) {
	r.t.Helper()
	answer, err := demo.Get(r.t.Context(), r.Address, path)
	require.NoError(r.t, err)
	return answer
}

// Begin makes a request, and returns when its answer begins. The returned function waits
// for the rest, and returns the answer or the text of the error.
func (r *Running) Begin(path string) (finished func() (answer string)) {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.Address)
	require.NoError(r.t, err)
	r.t.Cleanup(func() { conn.Close() })
	response, err := demo.Request(conn, path)
	require.NoError(r.t, err)
	return func() string {
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return err.Error()
		}
		return strings.TrimSpace(string(body))
	}
}
