// Command 04-auto-restart is a server that stays up: its primary opens the port, sends it to
// the workers, and replaces each worker that ends.
//
// Usage: go run ./04-auto-restart [-addr 127.0.0.1:1337] [-n 2] [-trace]
// or:    go run ./04-auto-restart -worker "node 04-auto-restart/node/worker.js"
// or:    go run ./04-auto-restart -demo
//
// This file is the notes' master.js. Read worker.go next, which is the other process, then
// notice.go, what the two send each other, and watchdog.go, which finds a worker that hangs.
// What starts, watches, replaces and stops the workers is package internal/supervise; read it
// last, from supervisor.go on. The demonstration is in demo.go; the command line is in
// flags.go. The page is docs/04-auto-restart.md.
package main

import (
	"context"
	"fmt"
	"net"

	"playing-with-processes/internal/cli"
	"playing-with-processes/internal/ipc"
	"playing-with-processes/internal/supervise"
)

// primary opens the port, and serves on it until ctx ends.
func primary(ctx context.Context, o options) error {
	server, err := net.Listen("tcp", o.addr) // server.listen(1337)
	if err != nil {
		return err
	}
	if o.demo {
		return demonstrate(ctx, server, o)
	}
	printHints(server.Addr())
	return keepServing(ctx, server, o, func(e supervise.Event) { say.Print(e) }) // console.log(…)
}

// keepServing keeps o.n workers running. The primary itself never accepts a connection: while
// no worker does, connections wait in the kernel's queue.
func keepServing(ctx context.Context, server net.Listener, o options, notify func(supervise.Event)) error {
	supervisor := supervise.New(supervise.Config{ // worker.on('exit', function() { … createWorker() })
		Workers: o.n,       // for(let i=0; i<cpuNumber.length; i++)
		Command: o.command, // fork(__dirname + '/worker.js')
		Name:    func(w *supervise.Worker) string { return fmt.Sprintf("worker %d", w.Pid()) },
		Started: func(w *supervise.Worker) {
			w.Value = newWatchdog(w.KillBecause)
			go w.SendHandle(ctx, "server", server.(*net.TCPListener)) // worker.send('server', server)
		},
		Message:      handleNotice,
		Disconnected: func(w *supervise.Worker, _ error) { watchdogOf(w).stop() },
		AskToLeave: func(ctx context.Context, w *supervise.Worker) {
			w.Send(ctx, stopNotice(ctx)) // workers[pid].kill()
		},
		Notify:       notify,
		Trace:        o.trace,
		Restart:      &o.policy,
		ReadyTimeout: o.ready,
		DrainTimeout: o.drain,
	})
	<-ctx.Done() // process.on('exit', function() { … })
	server.Close()
	say.Printf("stopping: the workers finish their requests, for at most %v", o.drain)
	unfinished := supervisor.Shutdown()
	say.Print("all workers have left, and the port is free")
	return cli.Unfinished(unfinished)
}

// handleNotice handles one message of a worker. Each of them is a sign of life. None is
// solicited, so a worker that floods its channel is slowed down.
func handleNotice(w *supervise.Worker, m ipc.Message) (solicited bool) {
	watchdogOf(w).beat()
	var n notice
	if m.Decode(&n) != nil {
		return false
	}
	switch n.Act {
	case actReady:
		watchdogOf(w).watch(n.interval())
		w.MarkReady()
	case actRetire:
		w.MarkRetiring() // when its replacement is ready, AskToLeave is called
	}
	return false
}

func main() { cli.Main("04-auto-restart", usage, run) }
