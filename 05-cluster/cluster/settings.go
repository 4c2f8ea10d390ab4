package cluster

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"time"

	"playing-with-processes/internal/ipc"
)

// schedPolicy is the variable from which Node's cluster takes its policy.
const schedPolicy = "NODE_CLUSTER_SCHED_POLICY"

// Settings configures a primary. The zero value is ready to use.
type Settings struct {
	// Command returns what the next worker runs, not started. It may be any program that
	// listens through a cluster, such as an unmodified Node server. nil is this program
	// with the same arguments and no input. All that the command says is done, but a worker
	// always leads a process group, with Setpgid or as the leader of a session, and a nil
	// Stderr is this process's. Command must not use the Primary, which waits for it.
	//
	// id is the worker's number, and slot the slot that it is for, so that a replacement can do
	// what its predecessor did. The worker gets three more variables:
	//
	//	NODE_UNIQUE_ID     its id
	//	CLUSTER_SLOT       the slot that it has at its start, or -1; see Worker.Slot
	//	NODE_APP_INSTANCE  the slot that it is for, as under pm2: in a reload, old and new
	//	                   worker have the same
	Command func(id, slot int) *exec.Cmd
	// Policy is how connections get to the workers. "" is the value of the variable
	// NODE_CLUSTER_SCHED_POLICY, or else RoundRobin.
	Policy Policy
	// AcceptTimeout is how long a worker may leave a connection unaccepted before the
	// worker is killed; 0 means 5 s.
	AcceptTimeout time.Duration
	// QueueTimeout is how long connections wait at a port without a worker before they
	// are reset; 0 means 30 s.
	QueueTimeout time.Duration
	// ReadyTimeout is how long a worker may take to join the cluster or, in a reload, to
	// listen, before it is killed; 0 means 30 s.
	ReadyTimeout time.Duration
	// DrainTimeout is how long a worker that leaves may finish its requests before it is
	// terminated; 0 means 5 s. (`docker stop` waits 10 s for everything.)
	DrainTimeout time.Duration
	// ExitTimeout is how long a worker that leaves and has ended its channel, as a Node worker
	// does when its servers are closed, may take to exit before it is sent SIGTERM; 0 means
	// 0.5 s.
	ExitTimeout time.Duration
	// MaxPending is how many connections of a port a worker may have that it has not accepted,
	// with RoundRobin, while others wait and no worker is idle: 1 to 16. With more, a busy cluster
	// serves more short connections. But a worker without Serve accepts them before it has time
	// for them, and takes them with it when it dies. So 0 means 8 for workers with Serve, and 1
	// for others, such as Node's.
	MaxPending int
	// MaxMessage is the longest message to or from a worker, in bytes of JSON; 0 means 1 MiB,
	// and less than 64 KiB means 64 KiB. A longer one from a worker is lost, see Messages.
	MaxMessage int
	// Restart is when failed workers are started again; nil is DefaultRestartPolicy.
	Restart *RestartPolicy
	// Trace, if set, is called with every line on the channel to the worker with this ID.
	// It must not use the Primary, which may wait for it.
	Trace func(worker int, e TraceEvent)
	// Handover, if set, is called with each step of a connection between the primary and a
	// worker, in order. It must not use the Primary either.
	Handover func(Handover)
}

func (s Settings) withDefaults() (Settings, error) {
	if s.Command == nil {
		s.Command = func(_, _ int) *exec.Cmd {
			cmd := ipc.Self(os.Args[1:]...)
			cmd.Stdin = nil // a process group in the background cannot read from the terminal
			return cmd
		}
	}
	from := "policy "
	if s.Policy == "" {
		s.Policy, from = Policy(os.Getenv(schedPolicy)), schedPolicy+"="
	}
	s.Policy = cmp.Or(s.Policy, RoundRobin)
	if !slices.Contains(Policies(), s.Policy) {
		return s, fmt.Errorf("%s%s: there are %v", from, s.Policy, Policies())
	}
	s.AcceptTimeout = cmp.Or(s.AcceptTimeout, 5*time.Second)
	s.QueueTimeout = cmp.Or(s.QueueTimeout, 30*time.Second)
	s.ReadyTimeout = cmp.Or(s.ReadyTimeout, 30*time.Second)
	s.DrainTimeout = cmp.Or(s.DrainTimeout, 5*time.Second)
	if s.MaxPending < 0 || s.MaxPending > maxPending {
		return s, fmt.Errorf("%d pending connections: there may be 1 to %d", s.MaxPending, maxPending)
	}
	s.MaxMessage = max(cmp.Or(s.MaxMessage, 1<<20), 64<<10) // the protocol's are shorter
	return s, nil
}

// tick is the unit of all timeouts that the primary counts in ticks.
func (s Settings) tick() time.Duration {
	return max(min(s.AcceptTimeout, s.QueueTimeout)/10, time.Millisecond)
}

// channel returns the bounds of the channel to a worker, which keep a hostile worker from using
// much of our memory. A worker may send what it likes: what is too much is skipped.
func (s Settings) channel() ipc.Config {
	return ipc.Config{Cluster: true, Poll: true, Skip: true, MaxLine: s.MaxMessage, MaxInbox: 4 * s.MaxMessage}
}
