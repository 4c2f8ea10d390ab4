// Command 02-four-spawn-methods runs one program with each of Node's four methods, spawn,
// exec, execFile and fork, and shows in a table how they differ.
//
// Usage: go run ./02-four-spawn-methods
//
// The methods are the listing: read spawn.go, execfile.go, exec.go and fork.go, and then
// start.go, which finds the program, and process.go, which ends it. child.go is the program that
// they run. try.go runs a program to its end with any of them, compare.go makes the table,
// record.go prints one run as Node would, and demo.go is what the command shows. The command line
// is in flags.go. The page is docs/02-four-spawn-methods.md.
package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"playing-with-processes/internal/cli"
)

// methods are the notes' four lines.
var methods = []method{
	{"spawn", trySpawn},       // cp.spawn('node', ['index.js'])
	{"exec", tryExec},         // cp.exec('node index.js', function (err, stdout, stderr) { … })
	{"execFile", tryExecFile}, // cp.execFile('index.js', function (err, stdout, stderr) { … })
	{"fork", tryFork},         // cp.fork('./index.js')
}

// runOnce runs a program with one method, and prints the outcome.
func runOnce(ctx context.Context, o options) error {
	// The name of the method's file will do, too.
	i := slices.IndexFunc(methods, func(m method) bool { return strings.EqualFold(m.name, o.method) })
	if i < 0 {
		return cli.Usagef("%q is none of spawn, exec, execFile, fork", o.method)
	}
	limit, cancel := limited(ctx, o.timeout, o.abort)
	defer cancel()
	outcome := methods[i].try(limit, o.Options, o.program, o.args...)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return methods[i].record(outcome).print(cli.Stdout)
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "child" {
		if err := child(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(1)
		}
		return
	}
	cli.Main("02-four-spawn-methods", usage, run)
}
