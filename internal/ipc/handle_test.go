package ipc

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A handle leaves as Node would send it, and SendHandle returns when it is
// acknowledged.
func TestSendHandle(t *testing.T) {
	noLeaks(t)
	c, p := pair(t, Config{})
	results := flying(t, c, 1, "server")
	require.Equal(t, `{"cmd":"NODE_HANDLE","type":"net.Server","msg":"server"}`, p.line())
	require.Len(t, p.arrived, 1)
	p.write("%s\n", lineACK)
	require.Equal(t, []error{nil}, results())
	kind, _, err := kindOf(p.arrived[0])
	require.NoError(t, err)
	require.Equal(t, kindServer, kind)
}

// A line that the kernel takes in pieces passes its descriptor once, with the
// first.
func TestSendHandleWithLongMessage(t *testing.T) {
	noLeaks(t)
	c, p := pair(t, Config{})
	results := flying(t, c, 1, strings.Repeat("x", 1<<20))
	require.Contains(t, p.line(), "NODE_HANDLE")
	p.write("%s\n", lineACK)
	require.Equal(t, []error{nil}, results())
	require.Len(t, p.arrived, 1)
}

// A handle that comes is acknowledged, and can be used.
func TestReceiveHandle(t *testing.T) {
	noLeaks(t)
	c, p := pair(t, Config{})
	with := newPlug(t)
	p.pass(aHandle, with.far)
	msg := receive(t, c)
	require.Equal(t, `"handle"`, string(msg.Data))
	with.requireIn(t, msg)
	require.Equal(t, lineACK, p.line())
}
