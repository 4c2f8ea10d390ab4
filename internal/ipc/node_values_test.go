package ipc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func init() {
	addScenario("exchange", exchange)
	addScenario("spelling", spelling)
}

// value is a row of a table that testdata/values.js has, too.
type value struct {
	name  string
	value any    // what is sent, and what Decode returns on arrival
	raw   string // sent instead, if Go spells the value differently
	back  string // how Node spells it, if that shows more than value
}

func ourValues() []value {
	return slices.Concat(simpleValues(), texts(), largeValues(), objects())
}

func simpleValues() []value {
	return []value{
		{name: "null", value: nil},
		{name: "true", value: true},
		{name: "false", value: false},
		{name: "0", value: 0.0},
		{name: "-0", value: math.Copysign(0, -1), back: "0"},
		{name: "number", value: -12.5e-7},
		{name: "2^53", value: float64(1 << 53), back: "9007199254740992"},
		{name: "2^53+1", value: float64(1 << 53), raw: "9007199254740993", back: "9007199254740992"},
		{name: "1e308", value: 1e308},
	}
}

func texts() []value {
	var controls []byte
	for i := range byte(' ') {
		controls = append(controls, i)
	}
	return []value{
		{name: "empty string", value: ""},
		{name: "string", value: "HELLO"},
		{name: "quotes and backslashes", value: `"\"\\'/`},
		{name: "newline", value: "a\nb\r\n"},
		{name: "tab", value: "\t"},
		{name: "NUL", value: "a\x00b", back: `"a\u0000b"`},
		{name: "all controls", value: string(controls) + "\x7f"},
		{name: "U+2028", value: "\u2028\u2029"},
		{name: "BOM", value: "\ufeff"},
		{name: "emoji", value: "😀👩‍👩‍👧"},
		{name: "lone surrogate", value: "\ufffd", raw: `"\ud800"`, back: `"\ud800"`},
		{name: "chinese", value: "中文"},
		{name: "markup", value: "<script>&amp;</script>"},
	}
}

func largeValues() []value {
	var deep any = 0.0
	for range 1000 {
		deep = []any{deep}
	}
	quarters := make([]any, 100_000)
	for i := range quarters {
		quarters[i] = float64(i) / 4
	}
	return []value{
		{name: "deep", value: deep},
		{name: "empty array", value: []any{}},
		{name: "large array", value: quarters},
		{name: "1 B", value: "x"},
		{name: "64 KiB-1", value: strings.Repeat("x", 64<<10-1)},
		{name: "64 KiB", value: strings.Repeat("x", 64<<10)},
		{name: "1 MiB", value: strings.Repeat("x", 1<<20)},
		{name: "8 MiB", value: strings.Repeat("x", 8<<20)},
		{name: "300 KB chinese", value: strings.Repeat("中", 100_000)},
	}
}

func objects() []value {
	type object = map[string]any
	return []value{
		{name: "cmd NODE", value: object{"cmd": "NODE"}},
		{name: "cmd NODE_", value: object{"cmd": "NODE_"}},
		{name: "cmd node_x", value: object{"cmd": "node_x"}},
		{name: "cmd number", value: object{"cmd": 5.0}},
		{name: "cmd array", value: object{"cmd": []any{"NODE_HANDLE"}}},
		{name: "cmd inside", value: object{"msg": object{"cmd": "NODE_HANDLE_ACK"}}},
		{name: "cmd in an array", value: []any{object{"cmd": "NODE_HANDLE_ACK"}}},
		{name: "cmd string", value: "NODE_HANDLE_ACK"},
		{name: "empty object", value: object{}},
		{name: "keys", value: object{"": 0.0, "中文": 1.0, "😀": 2.0, "a b\n": 3.0}},
		{name: "duplicate keys", value: object{"a": 2.0}, raw: `{"a":1,"a":2}`, back: `{"a":2}`},
		{name: "object", value: object{"hello": "HELLO", "list": []any{1.0, []any{}, object{}, nil}, "yes": true}},
	}
}

// Every value must reach Node and come from Node unchanged, even if it resembles one of
// Node's own messages.
func TestNodeExchangesValues(t *testing.T) {
	noLeaks(t)
	testWithNode(t, "exchange")
}

// exchange sends all values and, before them, their names, which both tables must have.
func exchange(ctx context.Context, connect func(Config) (*Channel, error)) error {
	c, err := connect(Config{})
	if err != nil {
		return err
	}
	var names []any
	values := ourValues()
	for _, v := range values {
		names = append(names, v.name)
	}
	values = slices.Insert(values, 0, value{name: "names", value: names})
	for _, v := range values {
		if err := sendValue(ctx, c, v); err != nil {
			return fmt.Errorf("%s: %w", v.name, err)
		}
	}
	for _, v := range values {
		if err := receiveValue(c, v); err != nil {
			return fmt.Errorf("%s: %w", v.name, err)
		}
	}
	return nil
}

func sendValue(ctx context.Context, c *Channel, v value) error {
	if v.raw != "" {
		return c.Send(ctx, json.RawMessage(v.raw))
	}
	return c.Send(ctx, v.value)
}

// wholeSlices compares slices as a whole. cmp would search for the best match of their
// elements, which doubles the time with each level of nesting.
var wholeSlices = cmp.Comparer(func(a, b []any) bool { return reflect.DeepEqual(a, b) })

func receiveValue(c *Channel, want value) error {
	msg, err := c.Receive()
	if err != nil {
		return err
	}
	var got any
	if err := msg.Decode(&got); err != nil {
		return err
	}
	if diff := cmp.Diff(want.value, got, wholeSlices); diff != "" {
		return errors.New(diff)
	}
	if want.back != "" && want.back != string(msg.Data) {
		return fmt.Errorf("want %s, got %s", want.back, msg.Data)
	}
	return nil
}

// Trace must show the very bytes that Node writes.
func TestNodeSpelling(t *testing.T) {
	noLeaks(t)
	testWithNode(t, "spelling")
}

func spelling(_ context.Context, connect func(Config) (*Channel, error)) error {
	want, err := os.ReadFile("testdata/spelling.txt")
	if err != nil {
		return err
	}
	var got bytes.Buffer
	c, err := connect(Config{Trace: func(e Event) {
		if e.What == "receive" {
			fmt.Fprintf(&got, "%s\n", e.Line)
		}
	}})
	if err != nil {
		return err
	}
	for range bytes.Count(want, []byte("\n")) {
		if _, err := c.Receive(); err != nil {
			return err
		}
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		return errors.New(diff)
	}
	return nil
}
