package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
	"playing-with-processes/internal/demo"
	"playing-with-processes/internal/ipc"
	"playing-with-processes/internal/supervise"
)

// A hostile worker must harm only itself and the connections that it takes: the primary
// and the other worker go on serving, also at the port that both have.
func TestHostileWorker(t *testing.T) {
	t.Parallel()
	for name := range hostilities {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			policy := restartAtOnce()
			policy.MaxPause = time.Minute
			h, setCommand := startChanging(t, Settings{
				Restart:       policy,
				AcceptTimeout: enoughToAccept(t),
				DrainTimeout:  200 * time.Millisecond,
			}, goHTTP...)
			good, address := h.fork(1)
			setCommand("go", "hostile", name)
			bad, err := h.Fork()
			require.NoError(t, err)
			setCommand(goHTTP...)
			lost := 0
			for range 30 {
				if answer, err := demo.Get(t.Context(), address, "/"); err != nil {
					lost++
				} else {
					require.Contains(t, answer, "worker")
				}
			}
			require.Zero(t, lost)
			bad.Signal(syscall.SIGKILL)
			h.exitOf(bad)
			for range 5 {
				require.Contains(t, get(t, "tcp", address), "worker")
			}
			require.Contains(t, h.ids(), good[0].ID())
		})
	}
}

// A worker that does one of these must be killed, and the exit must say why.
func TestHostileWorkerKilled(t *testing.T) {
	t.Parallel()
	for name, why := range map[string]string{
		"never accepts":    "it has not accepted a connection for 1s",
		"does not read":    "it does not read its channel",
		"leaves and stays": "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			settings := Settings{AcceptTimeout: clitest.Never, DrainTimeout: clitest.Never}
			switch name {
			case "never accepts":
				settings.AcceptTimeout = time.Second
			case "leaves and stays":
				settings.DrainTimeout = 200 * time.Millisecond
			}
			h := startPrimary(t, settings, "go", "hostile", name)
			workers, address := h.fork(1)
			conn := dial(t, "tcp", address)
			exit := h.exitOf(workers[0])
			require.Equal(t, why, exit.Why)
			require.NotZero(t, exit.Exit.Signal)
			conn.Close()
		})
	}
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
		return hang()
	}
}

// hostilities are what a hostile worker does with its channel.
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
			if err := w.sendLine(line); err != nil {
				return err
			}
		}
		return nil
	},
	"forged answers": func(w testWorker, _ string) error {
		// Some of them are the numbers of the other worker's connections.
		return repeat(500, func(i int) error { return w.answerConn(int64(i), false) })
	},
	"repeated answers": func(w testWorker, key string) error {
		return repeat(20, func(int) error {
			seq := w.awaitConn()
			w.answerConn(seq, false)
			w.answerConn(seq, true)
			return w.answerConn(seq, false)
		})
	},
	"keys that do not exist": func(w testWorker, _ string) error {
		return repeat(100, func(i int) error {
			return w.sendLine(fmt.Sprintf(`{"cmd":"NODE_CLUSTER","act":"close","key":"%d","seq":1}`, i))
		})
	},
	"many ports": func(w testWorker, _ string) error {
		return repeat(2*maxPorts, func(i int) error {
			return w.sendLine(fmt.Sprintf(`{"cmd":"NODE_CLUSTER","act":"queryServer","seq":1,"index":%d,"address":"127.0.0.1","port":0,"addressType":4,"data":%q}`,
				i, strings.Repeat("x", i*100)))
		})
	},
	"leaves and stays": func(w testWorker, _ string) error {
		return w.sendLine(`{"cmd":"NODE_CLUSTER","act":"exitedAfterDisconnect","seq":1}`)
	},
	"never accepts": func(testWorker, string) error { return nil },
	"does not read": func(w testWorker, _ string) error {
		for w.sendLine(`{"cmd":"NODE_CLUSTER","act":"exitedAfterDisconnect","seq":1}`) == nil {
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
		w.sendLine(`"` + strings.Repeat("x", 2<<20) + `"`)
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

// A worker that floods its channel must be slowed down.
func TestFloodSlowedDown(t *testing.T) {
	t.Parallel()
	const many = 20_000
	var received atomic.Int64
	enough := make(chan struct{})
	h := startPrimary(t, Settings{Trace: func(_ int, e ipc.Event) {
		if e.What == "receive" && received.Add(1) == many {
			close(enough)
		}
	}}, "go", "flood")
	begun := time.Now()
	workers, _ := h.fork(1)
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
		for w.sendLine(`"flood"`) == nil {
		}
		return nil
	}
}

// When the primary has to close a worker's channel, it does not know what the worker had
// accepted: the connection must be reset, and no other worker may get it.
func TestForcedDisconnectResets(t *testing.T) {
	t.Parallel()
	h := startPrimary(t, Settings{}, "go", "reads no replies")
	workers, address := h.fork(2)
	requireReset(t, address)
	exit := await(h, func(e Exit) bool { return e.Worker == workers[0] || e.Worker == workers[1] })
	require.Zero(t, exit.Returned)
	require.Contains(t, exit.Why, "its channel had to be closed")
}

func init() {
	roles["reads no replies"] = func(...string) error {
		w, _, err := joinAndListen()
		if err != nil {
			return err
		}
		w.awaitConn()
		queries := strings.Repeat(`{"cmd":"NODE_SOCKET_GET_COUNT","key":"x"}`+"\n", 1000)
		for file := os.NewFile(3, "channel"); err == nil; {
			_, err = file.WriteString(queries)
		}
		return hang()
	}
}

// If a worker has no descriptor left for a connection, another worker must get it.
func TestWorkerWithoutDescriptors(t *testing.T) {
	t.Parallel()
	h, setCommand := startChanging(t, Settings{AcceptTimeout: clitest.Never}, "go", "no descriptors")
	h.fork(1)
	setCommand(goHTTP...)
	good, address := h.fork(1)
	for range 4 {
		require.Equal(t, good[0].String(), get(t, "tcp", address))
	}
}

func init() {
	roles["no descriptors"] = func(...string) error {
		if _, err := Listen("tcp", "127.0.0.1:0"); err != nil {
			return err
		}
		time.Sleep(time.Nanosecond) // the runtime opens a descriptor for its timers
		next, err := syscall.Dup(0)
		if err != nil {
			return err
		}
		syscall.Close(next)
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: uint64(next), Max: uint64(next)}); err != nil {
			return err
		}
		return hang()
	}
}

// A worker that sends many messages to the program, and not to the cluster, must serve.
func TestUnrelatedMessages(t *testing.T) {
	t.Parallel()
	h := startPrimary(t, Settings{}, "go", "sends metrics")
	workers, address := h.fork(1)
	for range 20 {
		require.Equal(t, workers[0].String(), get(t, "tcp", address))
	}
	h.awaitLine("all sent")
	require.Equal(t, workers[0].String(), get(t, "tcp", address))
}

func init() {
	roles["sends metrics"] = func(...string) error {
		go func() {
			for range 20_000 {
				Send(context.Background(), json.RawMessage(`{"some":"metrics"}`))
			}
			fmt.Println("all sent")
		}()
		return roles["http"]("tcp", "127.0.0.1:0")
	}
}
