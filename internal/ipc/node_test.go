package ipc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// A dialogue is what Go has to say to testdata/NAME.js, the same in both seats:
// as its parent and as its child, role "node-NAME". connect makes the channel.
type dialogue func(ctx context.Context, connect func(Config) (*Channel, error)) error

var dialogues = map[string]dialogue{}

func addDialogue(name string, d dialogue) {
	dialogues[name] = d
	roles["node-"+name] = asChild(d)
}

func init() {
	addDialogue("exchange", exchange)
	addDialogue("spelling", spelling)
	roles["node-disconnected"] = asChild(disconnected)
	roles["node-lastwords"] = asChild(lastWords)
	roles["node-advanced"] = advanced
}

// asChild makes a role of what a forked child has to say.
func asChild(d dialogue) func() {
	return func() {
		defer bounded(os.Args[1]).Stop()
		var c *Channel
		err := d(context.Background(), func(cfg Config) (_ *Channel, err error) {
			c, err = cfg.Parent()
			return c, err
		})
		if err != nil {
			fmt.Fprintf(os.Stderr, "Go child %q: %v\n", os.Args[1], err)
			os.Exit(1)
		}
		c.Disconnect()
	}
}

// bounded turns what would hang into a failure.
func bounded(what string) *time.Timer {
	return time.AfterFunc(patience, func() { panic(what + ": no end") })
}

// script is real Node running a program of testdata, or a skipped test.
func script(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := node(t, "")
	cmd.Args = append([]string{cmd.Path, "testdata/" + name}, args...)
	return cmd
}

// nodeParent runs a program of testdata that forks this test binary, to its
// good end, and returns what the two have printed.
func nodeParent(t *testing.T, name string, args ...string) string {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := script(t, name, append([]string{self}, args...)...)
	out := new(strings.Builder)
	cmd.Stdout, cmd.WaitDelay = out, time.Second
	require.NoError(t, cmd.Start())
	watchdog := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	defer watchdog.Stop()
	require.NoError(t, cmd.Wait(), out)
	return out.String()
}

// bothSeats plays a dialogue with Go as the parent of Node, and as its child.
func bothSeats(t *testing.T, name string) {
	t.Run("Go parent", func(t *testing.T) {
		noLeaks(t)
		defer bounded(t.Name()).Stop()
		var child *Child
		require.NoError(t, dialogues[name](testContext(t), func(cfg Config) (*Channel, error) {
			child = forkWith(t, cfg, script(t, name+".js"))
			return child.Channel, nil
		}))
		child.Disconnect() // unless Node was first
		requireExit(t, Exit{}, child)
	})
	t.Run("Node parent", func(t *testing.T) {
		noLeaks(t)
		nodeParent(t, name+".js")
	})
}

func requireExit(t *testing.T, want Exit, child *Child) {
	t.Helper()
	defer bounded(t.Name()).Stop()
	exit, err := child.Wait()
	require.NoError(t, err)
	require.Equal(t, want, exit)
}

// hear is the next message, which must come.
func hear(c *Channel) (Message, error) {
	for msg, err := range c.Messages() {
		return msg, err
	}
	return Message{}, io.ErrUnexpectedEOF
}

// value is a row of the table that testdata/values.js has, too.
type value struct {
	name  string
	value any    // what is sent, and what is decoded on arrival
	raw   string // sent instead, if Go would spell it otherwise
	back  string // how Node spells it, where that says more than value
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

// A codec or a framing that is not Node's would change some value on its way,
// or swallow one that merely looks like a message of Node's own.
func TestNodeExchangesValues(t *testing.T) {
	noLeaks(t)
	bothSeats(t, "exchange")
}

// exchange sends all values and, before them, their names: each side sees that
// the other's table has the same.
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
		if err := hearValue(c, v); err != nil {
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

// wholeSlices keeps cmp from looking for the best match of each slice's
// elements, which takes it twice the time for each level of nesting.
var wholeSlices = cmp.Comparer(func(a, b []any) bool { return reflect.DeepEqual(a, b) })

func hearValue(c *Channel, want value) error {
	msg, err := hear(c)
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

// A Trace that showed other bytes than Node wrote would make every page and
// test that quotes Node's lines wrong.
func TestNodeSpelling(t *testing.T) {
	noLeaks(t)
	bothSeats(t, "spelling")
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
		if _, err := hear(c); err != nil {
			return err
		}
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		return errors.New(diff)
	}
	return nil
}

// A Go child that missed the end of its channel would outlive the parent that
// has dismissed it.
func TestNodeParentDisconnects(t *testing.T) {
	noLeaks(t)
	nodeParent(t, "disconnect.js")
}

func disconnected(ctx context.Context, connect func(Config) (*Channel, error)) error {
	c, err := connect(Config{})
	if err != nil {
		return err
	}
	if err := c.Send(ctx, "ready"); err != nil {
		return err
	}
	for msg, err := range c.Messages() {
		return fmt.Errorf("heard %s, %v", msg.Data, err)
	}
	if err := c.Send(ctx, "too late"); !errors.Is(err, ErrClosed) {
		return fmt.Errorf("Send after the end: %v", err)
	}
	return nil
}

// A Disconnect that left our end open somewhere would leave a Node child
// waiting for ever.
func TestDisconnectEndsNodeChild(t *testing.T) {
	noLeaks(t)
	cmd := node(t, `process.on('message', (m) => console.log(m));
		process.on('disconnect', () => console.log('disconnect', process.connected));`)
	out := new(strings.Builder)
	cmd.Stdout = out
	child := fork(t, cmd)
	require.NoError(t, child.Send(testContext(t), "sent before"))
	require.NoError(t, child.Disconnect())
	requireExit(t, Exit{}, child)
	require.Equal(t, "sent before\ndisconnect false\n", out.String())
}

// A Wait that closed the channel without reading on would lose what a Node
// child has written before it exited; what the child kept to itself must show
// as an error and not as a message.
func TestNodeChildLastWords(t *testing.T) {
	noLeaks(t)
	for _, tc := range []struct {
		name, program string
		length        int
		err           error
	}{
		{"written", `process.send('x'.repeat(50_000)); process.exit(0)`, 50_000, nil},
		{"sent", `process.send('x'.repeat(1 << 20), () => process.exit(0))`, 1 << 20, nil},
		{"cut off by exit", `process.send('x'.repeat(1 << 20)); process.exit(0)`, 0, io.ErrUnexpectedEOF},
	} {
		t.Run(tc.name, func(t *testing.T) {
			noLeaks(t)
			child := fork(t, node(t, tc.program))
			if tc.length < 1<<20 {
				// The kernel has room for all of it, or nobody is to make room.
				requireExit(t, Exit{}, child)
			}
			msg, err := receiveAny(t, child.Channel)
			require.ErrorIs(t, err, tc.err)
			if tc.err == nil {
				var got string
				require.NoError(t, msg.Decode(&got))
				require.Equal(t, strings.Repeat("x", tc.length), got)
			}
			_, err = receiveAny(t, child.Channel)
			require.Equal(t, io.EOF, err)
			requireExit(t, Exit{}, child)
		})
	}
}

// A Send that returned before the kernel had the bytes would lose the last
// words of a Go child that exits at once.
func TestLastWordsToNodeParent(t *testing.T) {
	noLeaks(t)
	nodeParent(t, "lastwords.js")
}

func lastWords(ctx context.Context, connect func(Config) (*Channel, error)) error {
	c, err := connect(Config{})
	if err != nil {
		return err
	}
	if err := c.Send(ctx, strings.Repeat("x", 1<<20)); err != nil {
		return err
	}
	os.Exit(0)
	return nil
}

// A Wait that mixed up codes and signals would tell a supervisor that a killed
// child has ended well.
func TestNodeChildExit(t *testing.T) {
	noLeaks(t)
	const killed = `process.on('message', (sig) => process.kill(process.pid, sig)); process.send('up')`
	for _, tc := range []struct {
		name, program, signal, want string
	}{
		{"end of program", `process.send('up')`, "", "code 0"},
		{"exit 3", `process.send('up', () => process.exit(3))`, "", "code 3"},
		{"uncaught error", `process.send('up', () => { throw 'on purpose' })`, "", "code 1"},
		{"SIGTERM", killed, "SIGTERM", "signal terminated"},
		{"SIGKILL", killed, "SIGKILL", "signal killed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			noLeaks(t)
			defer bounded(t.Name()).Stop()
			cmd := node(t, tc.program)
			cmd.Stderr = nil
			child := fork(t, cmd)
			require.Equal(t, `"up"`, string(receive(t, child.Channel).Data))
			if tc.signal != "" {
				require.NoError(t, child.Send(testContext(t), tc.signal))
			}
			exit, err := child.Wait()
			require.NoError(t, err)
			require.Equal(t, tc.want, exit.String())
			_, err = receiveAny(t, child.Channel)
			require.Equal(t, io.EOF, err)
		})
	}
}

// A Parent that took "advanced" for JSON would hang both sides: Node must see
// the channel end, the Go child must say which variable it minds.
func TestAdvancedSerializationIsRefused(t *testing.T) {
	noLeaks(t)
	out := nodeParent(t, "advanced.js")
	require.Contains(t, out, `NODE_CHANNEL_SERIALIZATION_MODE="advanced"`)
}

// advanced lives on after Parent has failed, so that it is not its exit that
// ends the channel.
func advanced() {
	defer bounded("advanced").Stop()
	c, err := Parent()
	fmt.Println(c, err)
	io.Copy(io.Discard, os.Stdin)
}
