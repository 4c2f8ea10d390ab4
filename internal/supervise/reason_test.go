package supervise

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/ipc"
)

func TestReasonFor(t *testing.T) {
	require.Equal(t, ReasonNeverReady, reasonFor(false, ipc.Exit{}))
	require.Equal(t, ReasonNeverReady, reasonFor(false, ipc.Exit{Signal: syscall.SIGKILL}))
	require.Equal(t, ReasonExited, reasonFor(true, ipc.Exit{}))
	require.Equal(t, ReasonCrashed, reasonFor(true, ipc.Exit{Code: 2}))
	require.Equal(t, ReasonKilled, reasonFor(true, ipc.Exit{Code: -1, Signal: syscall.SIGKILL}))
	require.Equal(t, "was never ready", ReasonNeverReady.String())
}
