// Command 05-cluster is a server on all cores: the cluster module of Node, in both of
// its roles, with Node's own protocol between them.
//
// Usage: go run ./05-cluster [-addr 127.0.0.1:1337] [-n 2] [-sched rr|none|sticky] [-status 127.0.0.1:0] [-trace]
// or:    go run ./05-cluster -exec 05-cluster/node/worker.js
// or:    go run ./05-cluster -demo
//
// Read on in primary.go and worker.go, which are what a user of the module writes, and
// then in cluster/, which is the module. operate.go is what can be asked of the primary
// while it runs. The demonstration is in demo.go and trouble.go, and the page is
// docs/05-cluster.md.
package main

import (
	"context"
	"flag"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"playing-with-processes/05-cluster/cluster"
	"playing-with-processes/internal/ipc"
	"playing-with-processes/internal/program"
)

const usage = `Usage: 05-cluster [-addr address] [-n workers] [-sched policy] [-accept time]
                  [-status address] [-trace]
       05-cluster -exec file [the same but -addr] [arguments]
       05-cluster -demo [the same]

Serves HTTP from a cluster of workers, and replaces each one that ends, until
Ctrl-C or SIGTERM: then the workers finish what is open, and all ends. SIGUSR2
reloads: one worker after the other is replaced by what is on the disk now, and the
first that does not get ready ends that. SIGTTIN is one worker more, SIGTTOU one less.

  -addr   the address, 127.0.0.1:1337 if not given, with -demo any free port
  -n      how many workers, 1 to 512; without it one for each CPU that this
          process may use; with -demo 2 to 8, 2 if not given
  -sched  rr: the primary gives each connection to an idle worker, in turn;
          sticky: to the same worker for each client address;
          none: the workers race for them; without it what the variable
          NODE_CLUSTER_SCHED_POLICY says, else rr
  -accept how long a worker may leave a connection that it was given, 5s if not
          given; then it is taken for frozen, and killed
  -exec   what the workers run, with the arguments: a server for Node, unmodified,
          if the file is JavaScript, else an executable; it chooses its address
  -status an address that answers with the state of all, as JSON, whoever asks
  -trace  show each line on the channels
  -demo   play what can happen to a worker, as visitors see it, and end

Exit codes: 0 all well, 1 failure, without -demo that of the last reload too,
2 wrong use, 130 after Ctrl-C with -demo.
`

const (
	maxWorkers     = 512 // each is a process of a few megabytes
	minDemoWorkers = 2   // one to trouble, and one to take over
	maxDemoWorkers = 8
	// minAccept is more than a worker needs that has much to do.
	minAccept = 100 * time.Millisecond
)

// say prints a line that tells who speaks.
var say *log.Logger

func main() { program.Main("05-cluster", usage, run) }

func run(ctx context.Context, args []string) error {
	if !cluster.IsPrimary() {
		say = program.Speaker("worker")
		return worker(ctx, args)
	}
	say = program.Speaker("primary")
	o, err := parse(args)
	if err != nil {
		return err
	}
	if o.demo {
		return demo(ctx, o)
	}
	return primary(ctx, o)
}

// options are what was typed.
type options struct {
	n           int
	addr        string
	exec        string
	args        []string // for exec
	policy      cluster.Policy
	accept      time.Duration
	status      string
	trace, demo bool
}

func parse(args []string) (o options, err error) {
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	flags.IntVar(&o.n, "n", runtime.GOMAXPROCS(0), "")
	flags.StringVar(&o.addr, "addr", defaultAddr, "")
	flags.StringVar(&o.exec, "exec", "", "")
	flags.StringVar((*string)(&o.policy), "sched", "", "")
	flags.DurationVar(&o.accept, "accept", 5*time.Second, "")
	flags.StringVar(&o.status, "status", "", "")
	flags.BoolVar(&o.trace, "trace", false, "")
	flags.BoolVar(&o.demo, "demo", false, "")
	if err := program.Parse(flags, args); err != nil {
		return o, err
	}
	o.args = flags.Args()
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	fewest, most := 1, maxWorkers
	if o.demo {
		fewest, most = minDemoWorkers, maxDemoWorkers
		if !given["n"] {
			o.n = minDemoWorkers
		}
		if !given["addr"] {
			o.addr = "127.0.0.1:0"
		}
	}
	switch {
	case o.n < fewest || o.n > most:
		return o, program.Misusef("-n %d: there can be %d to %d workers", o.n, fewest, most)
	case o.accept < minAccept:
		return o, program.Misusef("-accept %v: it takes at least %v", o.accept, minAccept)
	case given["addr"] && o.addr == "": // net.Listen would take any
		return o, program.Misuse("-addr is empty")
	case given["status"] && o.status == "":
		return o, program.Misuse("-status is empty")
	case given["exec"] && o.exec == "":
		return o, program.Misuse("-exec is empty")
	case given["exec"] && given["addr"]:
		return o, program.Misuse("-addr is for this program's own workers: what -exec names chooses its address")
	case isScript(o.exec) && !exists(o.exec): // Node would say so in twenty lines
		return o, program.Misusef("-exec %s: there is no such file", o.exec)
	case !given["exec"] && len(o.args) > 0:
		return o, program.Misusef("unexpected arguments %q", o.args)
	case given["sched"] && !slices.Contains(cluster.Policies(), o.policy):
		return o, program.Misusef("-sched %q: there are %v", o.policy, cluster.Policies())
	}
	return o, nil
}

// command is what a worker runs: this program again, or what -exec names.
func (o options) command() *exec.Cmd {
	var cmd *exec.Cmd
	switch {
	case o.exec == "":
		return ipc.Self("-addr", o.addr)
	case isScript(o.exec):
		cmd = exec.Command("node", slices.Concat([]string{o.exec}, o.args)...)
	default:
		cmd = exec.Command(o.exec, o.args...)
	}
	cmd.Stdout = os.Stdout
	return cmd
}

func isScript(file string) bool {
	return slices.Contains([]string{".js", ".cjs", ".mjs"}, filepath.Ext(file))
}

func exists(file string) bool {
	info, err := os.Stat(file)
	return err == nil && !info.IsDir()
}
