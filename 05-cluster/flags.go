package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"playing-with-processes/05-cluster/cluster"
	"playing-with-processes/05-cluster/watch"
	"playing-with-processes/internal/cli"
	"playing-with-processes/internal/demo"
	"playing-with-processes/internal/ipc"
)

const usage = `Usage: 05-cluster [-addr address] [-n workers] [-sched policy] [-accept time]
                  [-ready time] [-drain time] [-every time] [-status address]
                  [-watch] [-trace]
       05-cluster -exec file [the same flags but -addr] [-- arguments]
       05-cluster -demo [the same flags but -every and -watch]

Serves HTTP from a cluster of workers and replaces each worker that ends. On
Ctrl-C or SIGTERM the workers finish their requests, and the primary exits.
SIGUSR2 reloads: it replaces one worker after the other by what is on the disk
now, and stops at the first that does not get ready. SIGTTIN adds a worker,
SIGTTOU removes one; but a terminal sends both for reasons of its own, so there
start it with setsid(1).

  -addr   the address: 127.0.0.1:1337 by default, any free port with -demo
  -n      how many workers, 1 to 512: by default one for each CPU that this
          process may use; with -demo 2 to 8, by default 2
  -sched  rr: the primary gives each connection to an idle worker, in turn
          sticky: the same worker gets all connections of a client address
          none: the workers race for each connection
          by default the variable NODE_CLUSTER_SCHED_POLICY decides, or else rr
  -accept how long a worker may leave a connection unaccepted, 5s by default;
          then it counts as frozen, and is killed
  -ready  how long a worker may take to start, or in a reload to listen, 30s by
          default; then it is killed
  -drain  how long a worker that leaves may finish its requests, 5s by default;
          then it is terminated
  -every  how often the worker in slot 0, and no other, does a job
  -exec   what the workers run, with the arguments: an unmodified server for
          Node, if it is JavaScript (or TypeScript, from Node 22.18 on), or an
          executable; it chooses its address
  -status an address that answers every request with the status as JSON
  -watch  serve a page on which the cluster can be watched and disturbed, at
          127.0.0.1:1338, or with -watch=address elsewhere
  -trace  show each line on the channels, and which worker accepts which client
  -demo   show what can happen to a worker and what the clients see of it

Exit codes: 0 success, 1 failure, without -demo also if the last reload failed,
2 wrong usage, 130 after Ctrl-C with -demo.
`

const (
	defaultAddr    = "127.0.0.1:1337"
	watchAddr      = "127.0.0.1:1338"
	maxWorkers     = 512 // each is a process of a few megabytes
	minDemoWorkers = 2   // so that one serves when the other fails
	maxDemoWorkers = 8
	// minAccept is more than a busy worker needs.
	minAccept = 100 * time.Millisecond
	minEvery  = 10 * time.Millisecond
)

// say prints a line that names this process.
var say *log.Logger

func run(ctx context.Context, args []string) error {
	if !cluster.IsPrimary() {
		cli.Stdout.Outlive()
		say = cli.NewLogger("worker")
		return worker(ctx, args)
	}
	ipc.HideChannel()
	say = cli.NewServerLogger("primary")
	o, err := parse(args)
	if err != nil {
		return err
	}
	if o.demo {
		return demonstrate(ctx, o)
	}
	cli.Stdout.Outlive()
	if o.watch != "" {
		return watched(ctx, o)
	}
	return primary(ctx, o)
}

// options are the command line of the primary.
type options struct {
	n           int
	addr        string
	exec        string
	args        []string // for exec
	policy      cluster.Policy
	accept      time.Duration
	ready       time.Duration
	drain       time.Duration
	every       time.Duration // 0 is never
	status      string
	watch       string      // the address of the page, or ""
	page        *watch.Page // or nil
	trace, demo bool
}

func parse(args []string) (o options, err error) {
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	flags.IntVar(&o.n, "n", runtime.GOMAXPROCS(0), "")
	flags.StringVar(&o.addr, "addr", defaultAddr, "")
	flags.StringVar(&o.exec, "exec", "", "")
	flags.StringVar((*string)(&o.policy), "sched", "", "")
	flags.DurationVar(&o.accept, "accept", 5*time.Second, "")
	flags.DurationVar(&o.ready, "ready", 30*time.Second, "")
	flags.DurationVar(&o.drain, "drain", 5*time.Second, "")
	flags.DurationVar(&o.every, "every", 0, "")
	flags.StringVar(&o.status, "status", "", "")
	flags.BoolFunc("watch", "", o.setWatch)
	flags.BoolVar(&o.trace, "trace", false, "")
	flags.BoolVar(&o.demo, "demo", false, "")
	if err := cli.Parse(flags, args); err != nil {
		return o, err
	}
	o.args = flags.Args()
	given := cli.Given(flags)
	if o.demo && !given["n"] {
		o.n = minDemoWorkers
	}
	if o.demo && !given["addr"] {
		o.addr = "127.0.0.1:0"
	}
	return o, o.check(given)
}

// setWatch is given "true" for -watch alone.
func (o *options) setWatch(value string) error {
	if o.watch = value; value == "true" {
		o.watch = watchAddr
	}
	return nil
}

// check returns the first mistake in the options.
func (o options) check(given map[string]bool) error {
	for name, value := range map[string]string{"addr": o.addr, "status": o.status, "exec": o.exec, "watch": o.watch} {
		if given[name] && value == "" { // net.Listen would take any address
			return cli.Usagef("-%s is empty", name)
		}
	}
	fewest, most := 1, maxWorkers
	if o.demo {
		fewest, most = minDemoWorkers, maxDemoWorkers
	}
	switch {
	case o.n < fewest || o.n > most:
		return cli.Usagef("-n %d: there can be %d to %d workers", o.n, fewest, most)
	case o.accept < minAccept:
		return cli.Usagef("-accept %v: it must be at least %v", o.accept, minAccept)
	case o.ready <= 0:
		return cli.Usagef("-ready %v: it must be more than 0", o.ready)
	case o.drain <= 0:
		return cli.Usagef("-drain %v: it must be more than 0", o.drain)
	case o.demo && given["every"]:
		return cli.UsageError("-every is not for -demo")
	case o.demo && o.watch != "":
		return cli.UsageError("-watch is not for -demo")
	case given["every"] && o.every < minEvery:
		return cli.Usagef("-every %v: it must be at least %v", o.every, minEvery)
	case given["exec"] && given["addr"]:
		return cli.UsageError("-addr is for this program's own workers: what -exec names chooses its address")
	case strings.Contains(o.exec, " ") && !exists(o.exec):
		return cli.Usagef("-exec %q: it names a file; its arguments come last, after --", o.exec)
	case isScript(o.exec) && !exists(o.exec): // Node would say so in twenty lines
		return cli.Usagef("-exec %s: there is no such file", o.exec)
	case !given["exec"] && len(o.args) > 0:
		return cli.Usagef("unexpected arguments %q", o.args)
	case given["sched"] && !slices.Contains(cluster.Policies(), o.policy):
		return cli.Usagef("-sched %q: there are %v", o.policy, cluster.Policies())
	}
	return nil
}

// settings returns the options in the words of the module.
func (o options) settings() cluster.Settings {
	s := cluster.Settings{
		Command:       o.command,
		Policy:        o.policy,
		AcceptTimeout: o.accept,
		ReadyTimeout:  o.ready,
		DrainTimeout:  o.drain,
	}
	if o.trace {
		s.Trace = func(worker int, e ipc.Event) { say.Printf("channel %d: %v", worker, e) }
		s.Handover = func(h cluster.Handover) {
			if h.Step == cluster.Accepted {
				say.Printf("%v has accepted %v", h.Worker, h.Client)
			}
		}
	}
	return o.page.Settings(s)
}

// command returns what a worker runs: this program, or what -exec names.
func (o options) command(_, _ int) *exec.Cmd {
	cmd := ipc.Self("-addr", o.addr)
	switch {
	case isScript(o.exec):
		cmd = exec.Command("node", append([]string{o.exec}, o.args...)...)
	case o.exec != "":
		cmd = exec.Command(o.exec, o.args...)
	}
	cmd.Stdin, cmd.Stdout = nil, os.Stdout // a process group in the background cannot read from the terminal
	return cmd
}

func isScript(file string) bool {
	return slices.Contains([]string{".js", ".cjs", ".mjs", ".ts", ".cts", ".mts"}, filepath.Ext(file))
}

func exists(file string) bool {
	info, err := os.Stat(file)
	return err == nil && !info.IsDir()
}

// workerAddr returns the address on a worker's command line. Node's primary puts the path of a
// module before it.
func workerAddr(args []string) (addr string, err error) {
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		args = args[1:]
	}
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	flags.StringVar(&addr, "addr", defaultAddr, "")
	return addr, cli.Parse(flags, args)
}

// printHints says what to try: with this program's own pages, or with another server.
func printHints(address string, own bool) {
	reload := fmt.Sprintf("kill -USR2 %d    replaces the workers in turn", os.Getpid())
	if own {
		demo.PrintHints(say, address, fmt.Sprintf("curl %s/count  the requests of all workers", demo.Reachable(address)), reload)
		return
	}
	say.Printf("%s; Ctrl-C stops", reload)
}

// hintAfter is longer than a worker takes to listen.
const hintAfter = 5 * time.Second

// printListenHint says why no worker may listen.
func printListenHint() {
	say.Printf("no worker listens after %v. The program must call listen, in the process\n"+
		"  that this primary starts: npm start, for one, starts the server in another", hintAfter)
}
