package ipc

import (
	"encoding/json"
	"strings"
	"testing"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"
)

// What is internal is Node's rule, measured on Node: it swallows the first
// kind, and gives the second to the user.
func TestInternalIsWhatNodeSwallows(t *testing.T) {
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

// FuzzInternal: for any line, the quick verdict is that of decoding it all.
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
			unwrap(m)
		}
	})
}
