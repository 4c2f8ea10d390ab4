package ipc

import (
	"encoding/json"
	"strings"
	"testing"

	"playing-with-processes/internal/clitest"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"
)

// parseInternal must follow Node's rule, as measured on Node: it keeps the lines of the
// first list to itself, and delivers the lines of the second list.
func TestInternalMessages(t *testing.T) {
	for _, line := range []string{
		`{"cmd":"NODE_X"}`,
		`{"a":1,"cmd":"NODE_HANDLE_ACK"}`,
		` {"cmd" : "NODE_X" } `,
		`{"\u0063md":"\u004eODE_X"}`,
		`{"cmd":"x","cmd":"NODE_X"}`,
	} {
		_, ok := parseInternal([]byte(line))
		require.True(t, ok, line)
	}
	for _, line := range []string{
		`{"cmd":"NODE_"}`, `{"cmd":"NODE"}`, `{"cmd":"node_x"}`, `{"cmd":" NODE_X"}`, `{"Cmd":"NODE_X"}`,
		`{"cmd":["NODE_X"]}`, `{"cmd":{"NODE_X":1}}`, `{"cmd":null,"x":"NODE_X"}`, `{"cmd":"NODE_X","cmd":1}`,
		`[{"cmd":"NODE_X"}]`, `"NODE_X"`, `{"x":{"cmd":"NODE_X"}}`, `{"cmd":"NODE_X"`, `{"cmd":"NODE_X"}}`,
	} {
		_, ok := parseInternal([]byte(line))
		require.False(t, ok, line)
	}
}

// An internal message with fields of unexpected types is ignored, or gets one reply.
func TestMalformedInternalLinesAreIgnored(t *testing.T) {
	for _, line := range []string{
		`{"\u0063md":"NODE\u005fX"}`, `{"cmd":"x","cmd":"NODE_X"}`, ` {"cmd" : "NODE_X" } `, "{\"cmd\":\"NODE_\xff\"}",
		`{"cmd":"NODE_SOCKET_GET_COUNT"}`, `{"cmd":"NODE_SOCKET_GET_COUNT","key":{"a":1}}`,
		`{"cmd":"NODE_SOCKET_NOTIFY_CLOSE","key":4}`, `{"cmd":"NODE_SOCKET_NOTIFY_CLOSE","key":null}`,
		`{"cmd":"NODE_SOCKET_ALL_CLOSED","key":1e400}`, `{"cmd":"NODE_HANDLE_NACK","msg":[],"key":[1]}`,
	} {
		t.Run(line, func(t *testing.T) {
			noLeaks(t)
			c, p := newPeer(t, Config{})
			p.write("%s\n", line)
			data, errs := receiveUntilMarker(t, c, p)
			require.Empty(t, data)
			require.Empty(t, errs)
			require.NoError(t, c.Send(clitest.Context(t), "after it"))
			for line := p.line(); line != `"after it"`; line = p.line() {
				require.Contains(t, line, "NODE_SOCKET_") // a reply, at most
			}
		})
	}
}

// FuzzInternal checks that the quick test gives the same result as decoding the whole
// line.
func FuzzInternal(f *testing.F) {
	for _, seed := range []string{
		`{"cmd":"NODE_HANDLE","type":"net.Native","msg":{"cmd":"NODE_CLUSTER","act":"newconn","key":"null:8000:4:undefined:0","seq":1}}`,
		`{"cmd":"NODE_HANDLE_ACK"}`, `{"\u0063md":"\u004eODE_X"}`, `{"cmd":"NODE_"}`, `{"cmd":1}`, `[]`, `"NODE_X"`, ``, `{"cmd":"NODE_X"`,
		`{"cmd":"NODE_X","cmd":"y"}`, `{"cmd":{"a":1},"cmd":"NODE_X"}`, "{\"cmd\":\"NODE_\xff\"}", `{"cmd":"NODE_X","msg":1e400}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		m, got := parseInternal(line)
		var all map[string]json.RawMessage
		want := false
		if jsonv2.Unmarshal(line, &all, asNode) == nil {
			var cmd any
			if raw := all["cmd"]; raw != nil && jsonv2.Unmarshal(raw, &cmd, asNode) == nil {
				text, _ := cmd.(string)
				want = len(text) > len("NODE_") && strings.HasPrefix(text, "NODE_")
			}
		}
		require.Equal(t, want, got)
		if got {
			new(Channel).unwrap(m)
		}
	})
}
