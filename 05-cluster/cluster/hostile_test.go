package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/demo"
	"playing-with-processes/internal/ipc"
	"playing-with-processes/internal/supervise"
)

// hostilities are what a worker may do with its channel.
var hostilities = map[string]func(w testWorker, key string) error{
	"garbage": func(w testWorker, _ string) error {
		file := os.NewFile(3, "channel")
		return repeat(100, func(int) error {
			_, err := file.WriteString("garbage\n\n{\"cmd\":\n\xff\x00\n[]\n{\"cmd\":\"NODE_CLUSTER\"}\n")
			return err
		})
	},
	"odd types": func(w testWorker, _ string) error {
		for _, line := range []string{
			`{"cmd":"NODE_CLUSTER","act":"queryServer","seq":"one"}`,
			`{"cmd":"NODE_CLUSTER","act":"queryServer","seq":9e99,"port":1}`,
			`{"cmd":"NODE_CLUSTER","act":"queryServer","seq":1}`,
			`{"cmd":"NODE_CLUSTER","act":"queryServer","seq":1,"address":"localhost","port":0,"addressType":4}`,
			`{"cmd":"NODE_CLUSTER","act":"queryServer","seq":1,"address":"127.0.0.1","port":-7,"addressType":4}`,
			`{"cmd":"NODE_CLUSTER","act":"queryServer","seq":1,"address":"127.0.0.1","port":70000,"addressType":4}`,
			`{"cmd":"NODE_CLUSTER","act":"queryServer","seq":1,"address":null,"port":-1,"addressType":-1}`,
			`{"cmd":"NODE_CLUSTER","act":"queryServer","seq":1,"address":"/x","port":-1,"addressType":"what"}`,
			`{"cmd":"NODE_CLUSTER","act":"queryServer","seq":1,"address":null,"port":null,"addressType":null,"fd":1}`,
			`{"cmd":"NODE_CLUSTER","act":"queryServer","seq":1,"address":"::1","port":0,"addressType":"udp"}`,
			`{"cmd":"NODE_CLUSTER","act":"online","seq":1}`,
			`{"cmd":"NODE_CLUSTER","act":"listening","seq":1}`,
			`{"cmd":"NODE_CLUSTER","act":"newconn","seq":1,"key":"x"}`,
			`{"cmd":"NODE_CLUSTER","act":"disconnect","seq":1}`,
		} {
			if err := w.write(line); err != nil {
				return err
			}
		}
		return nil
	},
	"forged verdicts": func(w testWorker, _ string) error {
		// Those of the other worker's connections are among them.
		return repeat(500, func(i int) error { return w.answerConn(int64(i), false) })
	},
	"every verdict twice": func(w testWorker, key string) error {
		return repeat(20, func(int) error {
			seq := w.newconn()
			w.answerConn(seq, false)
			w.answerConn(seq, true)
			return w.answerConn(seq, false)
		})
	},
	"keys that do not exist": func(w testWorker, _ string) error {
		return repeat(100, func(i int) error {
			return w.write(fmt.Sprintf(`{"cmd":"NODE_CLUSTER","act":"close","key":"%d","seq":1}`, i))
		})
	},
	"many ports": func(w testWorker, _ string) error {
		return repeat(2*maxPorts, func(i int) error {
			return w.write(fmt.Sprintf(`{"cmd":"NODE_CLUSTER","act":"queryServer","seq":1,"index":%d,"address":"127.0.0.1","port":0,"addressType":4,"data":%q}`,
				i, strings.Repeat("x", i*100)))
		})
	},
	"leaves and stays": func(w testWorker, _ string) error {
		return w.write(`{"cmd":"NODE_CLUSTER","act":"exitedAfterDisconnect","seq":1}`)
	},
	"never accepts": func(testWorker, string) error { return nil },
	"does not read": func(w testWorker, _ string) error {
		for w.write(`{"cmd":"NODE_CLUSTER","act":"exitedAfterDisconnect","seq":1}`) == nil {
		}
		return nil
	},
	"handles": func(w testWorker, _ string) error {
		r, _, err := os.Pipe()
		if err != nil {
			return err
		}
		return repeat(500, func(int) error {
			return syscall.Sendmsg(3, []byte(`{"cmd":"NODE_HANDLE","type":"net.Native","msg":{"cmd":"NODE_CLUSTER"}}`+"\n"),
				syscall.UnixRights(int(r.Fd()), int(r.Fd())), nil, 0)
		})
	},
	"a long line": func(w testWorker, _ string) error {
		w.write(`"` + strings.Repeat("x", 2<<20) + `"`)
		return nil
	},
	"an endless line": func(w testWorker, _ string) error {
		file, megabyte := os.NewFile(3, "channel"), strings.Repeat("x", 1<<20)
		for {
			if _, err := file.WriteString(megabyte); err != nil {
				return nil
			}
		}
	},
}

func repeat(n int, do func(int) error) error {
	for i := range n {
		if err := do(i); err != nil {
			return err
		}
	}
	return nil
}

func init() {
	roles["hostile"] = func(args ...string) error {
		w, key, err := joinAndListen()
		if err != nil {
			return err
		}
		if err := hostilities[args[0]](w, key); err != nil {
			return err
		}
		fmt.Println("done")
		return forever()
	}
}

// A hostile worker harms only itself, and the connections that it takes: the primary
// lives, the other worker serves, and visitors of the port that both have are answered.
func TestHostile(t *testing.T) {
	t.Parallel()
	for name := range hostilities {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			policy := patient()
			policy.MaxPause = time.Minute
			words := goHTTP
			var r *harness
			r = startPrimary(t, Settings{
				Restart:       &policy,
				AcceptTimeout: 200 * time.Millisecond,
				DrainTimeout:  200 * time.Millisecond,
				Command:       func() *exec.Cmd { return r.command(words...) },
			})
			good, address := r.fork(1)
			words = []string{"go", "hostile", name}
			bad, err := r.Fork()
			require.NoError(t, err)
			words = goHTTP
			lost := 0
			for range 30 {
				if answer, err := demo.Get(t.Context(), address, "/"); err != nil {
					lost++
				} else {
					require.Contains(t, answer, "worker")
				}
			}
			if !strings.HasSuffix(name, "line") { // of those nobody knows what they had accepted
				require.Zero(t, lost)
			}
			require.LessOrEqual(t, lost, 1)
			bad.Signal(syscall.SIGKILL)
			r.exitOf(bad)
			for range 5 {
				require.Contains(t, get(t, "tcp", address), "worker")
			}
			require.Contains(t, r.ids(), good[0].ID())
		})
	}
}

// What each of them comes to, where it comes to something.
func TestHostileEnds(t *testing.T) {
	t.Parallel()
	for name, why := range map[string]string{
		"never accepts":    "it has not accepted a connection for 200ms",
		"does not read":    "it does not read its channel",
		"leaves and stays": "",
		"a long line":      "its channel had to be closed: receive: line too long: over 1048576 bytes",
		"an endless line":  "its channel had to be closed: receive: line too long: over 1048576 bytes",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			settings := Settings{AcceptTimeout: patience, DrainTimeout: patience}
			switch name {
			case "never accepts":
				settings.AcceptTimeout = 200 * time.Millisecond
			case "leaves and stays":
				settings.DrainTimeout = 200 * time.Millisecond
			}
			r := startPrimary(t, settings, "go", "hostile", name)
			workers, address := r.fork(1)
			conn := dial(t, "tcp", address)
			exit := r.exitOf(workers[0])
			require.Equal(t, why, exit.Why)
			require.NotZero(t, exit.Exit.Signal)
			conn.Close()
		})
	}
}

// Its messages cost whoever sends them, and nobody else.
func TestHostileFlood(t *testing.T) {
	t.Parallel()
	const many = 20_000
	var got atomic.Int64
	enough := make(chan struct{})
	r := startPrimary(t, Settings{Trace: func(_ int, e ipc.Event) {
		if e.What == "receive" && got.Add(1) == many {
			close(enough)
		}
	}}, "go", "flood")
	begun := time.Now()
	workers, _ := r.fork(1)
	<-enough
	require.GreaterOrEqual(t, time.Since(begun), many/supervise.FreeMessages*time.Millisecond)
	workers[0].Signal(syscall.SIGKILL)
}

func init() {
	roles["flood"] = func(...string) error {
		w, _, err := joinAndListen()
		if err != nil {
			return err
		}
		for w.write(`"flood"`) == nil {
		}
		return nil
	}
}
