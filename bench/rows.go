package main

import (
	"fmt"
	"regexp"
	"slices"
)

// row is what is measured.
type row struct {
	group    string // the plot that shows it
	title    text
	unit     text
	larger   bool    // is better
	goal     float64 // for the ratio to Node 26, or for the value
	absolute bool    // the goal is for the value
	with     string  // rows with the same word are measured together
	workers  int     // of a row of the sweep
	once     bool    // one round is long enough
	bound    text    // what the figure cannot pass

	contenders []contender
}

// maxRounds returns how often the row is measured at most.
func (r row) maxRounds() int {
	if r.once {
		return 1
	}
	return 100
}

var (
	microseconds = text{"µs", "µs"}
	milliseconds = text{"ms", "ms"}
	perSecond    = text{"per second", "每秒"}
	mebibytes    = text{"MiB", "MiB"}
	perKill      = text{"per kill", "每次 SIGKILL"}
	share        = text{"of its share", "平均份额"}
)

// rows returns the rows with a title that matches, or all if match is nil. The rows that only -all
// has come last.
func (t table) rows(match *regexp.Regexp) []row {
	all := slices.Concat(t.roundTrips(), t.oneWay(), t.handles(), t.processes(), t.requests(), t.deaths())
	if t.all {
		all = append(all, t.sweep()...)
	}
	return slices.DeleteFunc(all, func(r row) bool { return match != nil && !match.MatchString(r.title.En) })
}

func (t table) roundTrips() []row {
	bound := text{
		"four system calls and two wake-ups of a process",
		"四次系统调用，两次唤醒进程",
	}
	return []row{{
		group: "channel",
		title: text{"round trip, both ends on one CPU", "往返，两端在同一个 CPU 上"},
		unit:  microseconds, goal: 0.62, bound: bound,
		contenders: pinned("0", append(t.channel("roundtrip", "roundtrip", "roundtrip.js"), measure("goroutines", "goroutines"))),
	}, {
		group: "channel",
		title: text{"round trip, each end on its own CPU", "往返，两端各用一个 CPU"},
		unit:  microseconds, goal: 0.78, bound: bound,
		contenders: append(pinned("0", t.channel("roundtrip -child-cpu 1", "roundtrip -child-cpu 1", "roundtrip.js 1")), measure("goroutines", "goroutines")),
	}}
}

func (t table) oneWay() []row {
	calls := text{"the system calls: a write for each message", "系统调用：每条消息一次 write"}
	codec := text{"the JSON codec at both ends", "两端的 JSON 编解码"}
	receiver := text{"the sender's JSON check, and copying", "发送方的 JSON 检查，以及复制"}
	one := func(en, zh string, goal float64, bound text, line, floor, size string) row {
		r := row{
			group: "channel", title: text{"one way, " + en, "单向，" + zh}, unit: perSecond, larger: true,
			goal: goal, bound: bound, with: size, contenders: t.channel("oneway "+line, floor, "oneway.js "+size),
		}
		if size != "20" { // longer messages keep the collector busy
			r.contenders = append(r.contenders, rarelyCollecting("oneway "+line))
		}
		return r
	}
	return []row{
		one("20 B, Send", "20 B，Send", 1.3, calls, "", "oneway", "20"),
		one("20 B, batches of 64", "20 B，每批 64 条", 8, codec, "-batch 64", "oneway -batch 64", "20"),
		one("1 KiB, Send", "1 KiB，Send", 1.3, calls, "-size 1024", "oneway -size 1024", "1024"),
		one("1 KiB, batches of 64", "1 KiB，每批 64 条", 2.5, codec, "-size 1024 -batch 64", "oneway -size 1024 -batch 64", "1024"),
		one("1 KiB, decoded into any", "1 KiB，解码为 any", 1.1, codec, "-size 1024 -as any", "", "1024"),
		one("1 KiB of JSON, not decoded", "1 KiB 现成的 JSON，不解码", 1.8, receiver, "-size 1024 -as raw", "", "1024"),
		one("64 KiB", "64 KiB", 1.4, codec, "-size 65536", "oneway -size 65536", "65536"),
		one("64 KiB of JSON, not decoded", "64 KiB 现成的 JSON，不解码", 2, receiver, "-size 65536 -as raw", "", "65536"),
		one("1 MiB", "1 MiB", 1.8, codec, "-size 1048576", "oneway -size 1048576", "1048576"),
		one("1 MiB of JSON, not decoded", "1 MiB 现成的 JSON，不解码", 2.5, receiver, "-size 1048576 -as raw", "", "1048576"),
	}
}

func (t table) handles() []row {
	return []row{{
		group: "channel",
		title: text{"handles, one at a time", "句柄，一次一个"},
		unit:  perSecond, larger: true, goal: 4,
		bound:      text{"a round trip, and the kernel's work on the descriptor", "一次往返，以及内核对文件描述符的处理"},
		contenders: t.channel("handles", "handles", "handles.js"),
	}, {
		group: "channel",
		title: text{"handles, 16 in flight", "句柄，16 个在途"},
		unit:  perSecond, larger: true, goal: 12,
		bound:      text{"the kernel's work on descriptors", "内核对文件描述符的处理"},
		contenders: t.channel("handles -n 16", "", "handles.js 16"),
	}}
}

func (t table) processes() []row {
	return []row{{
		group: "process",
		title: text{"fork to the first message", "从 fork 到第一条消息"},
		unit:  milliseconds, goal: 0.13,
		bound:      text{"execve, page faults and the start of the runtime", "execve、缺页和运行时的启动"},
		contenders: t.channel("fork", "", "fork.js"),
	}, {
		group: "process",
		title: text{"SIGKILL to the replacement's first answer", "从 SIGKILL 到替补的第一个应答"},
		unit:  milliseconds, goal: 0.12,
		bound:      text{"the start of a process that imports net/http", "启动一个导入 net/http 的进程"},
		contenders: t.cluster("replace"),
	}, {
		group: "process",
		title: text{"memory of one more worker", "增加一个工作进程的内存"},
		unit:  mebibytes, goal: 0.15,
		bound:      text{"the pages that the runtime and net/http write", "运行时和 net/http 写过的内存页"},
		contenders: t.cluster("memory"),
	}}
}

func (t table) requests() []row {
	bound := text{"the kernel's TCP connections; the clients use the same CPUs", "内核的 TCP 连接；客户端占用同样的 CPU"}
	return []row{{
		group: "cluster",
		with:  "requests",
		title: text{"cluster rr, a new connection per request", "cluster 轮询，每个请求一个新连接"},
		unit:  perSecond, larger: true, goal: 2, bound: bound,
		contenders: append(t.cluster("requests"), t.servers("requests")...),
	}, {
		group: "cluster",
		with:  "requests",
		title: text{"cluster rr, Node workers under the Go primary", "cluster 轮询，Go 主进程下的 Node 工作进程"},
		unit:  perSecond, larger: true, goal: 1.2, bound: text{"Node's server", "Node 的服务器"},
		contenders: t.nodeWorkers(),
	}, {
		group: "cluster",
		title: text{"cluster rr, keep-alive", "cluster 轮询，keep-alive"},
		unit:  perSecond, larger: true, goal: 1.4, bound: text{"net/http; the clients use the same CPUs", "net/http；客户端占用同样的 CPU"},
		contenders: append(t.cluster("requests -keepalive"), t.servers("requests -keepalive")...),
	}}
}

// others are this project's cluster with other settings.
func (t table) others(line string) []contender {
	return []contender{
		measure("pending", line+" bin/server -pending 1"),
		measure("eager", line+" bin/server -pending 16 -eager"),
		measure("none", line+" bin/server -policy none"),
	}
}

// servers are the same server with other ways to share its work.
func (t table) servers(line string) []contender {
	all := append(t.others(line), measure("single", line+" bin/server -policy single"))
	if t.all {
		all = append(all, measure("reuseport", line+" bin/server -policy reuseport"), measure("prefork", line+" bin/prefork"))
	}
	return all
}

// nodeWorkers are the same Node workers under both primaries.
func (t table) nodeWorkers() (all []contender) {
	for _, r := range t.runtimes {
		if r.who != "node26" && (r.who != "node" || len(all) > 0) {
			continue
		}
		all = append(all,
			t.measureScript("go", "requests bin/server", r, "worker.js"),
			t.measureScript("pending8", "requests bin/server -pending 8", r, "worker.js"),
			t.measureScript(r.who, "requests", r, "cluster.js"))
	}
	return all
}

func (t table) deaths() []row {
	begun := text{"the requests that a worker has begun end with it", "工作进程已经开始处理的请求，会随它一起结束"}
	return []row{{
		group: "cluster",
		title: text{"requests that fail when workers are killed", "工作进程被杀时失败的请求"},
		unit:  perKill, goal: 0.2, absolute: true, once: true, bound: begun,
		contenders: append(t.cluster("kills"), t.others("kills")...),
	}, {
		group: "cluster",
		title: text{"requests that hang when workers are killed", "工作进程被杀时一直没有应答的请求"},
		unit:  perKill, goal: 0, absolute: true, once: true,
		contenders: append(t.cluster("kills -hung -n 10"), t.others("kills -hung -n 10")...),
	}, {
		group: "cluster",
		title: text{"how even: the worker with the fewest of 4", "均匀程度：4 个工作进程中最少的一个"},
		unit:  share, larger: true, goal: 0.9, absolute: true,
		bound:      text{"1", "1"},
		contenders: append(t.cluster("even"), measure("none", "even bin/server -policy none")),
	}}
}

// sweepWorkers are the numbers of workers for which a plot shows the requests per second.
var sweepWorkers = []int{1, 2, 4, 8, 16}

// sweep is how many requests 1 to 16 workers answer.
func (t table) sweep() (all []row) {
	for _, n := range sweepWorkers {
		line := fmt.Sprintf("requests -workers %d", n)
		all = append(all, row{
			group: "sweep",
			title: text{fmt.Sprintf("workers: %d", n), fmt.Sprintf("工作进程：%d", n)},
			unit:  perSecond, larger: true, workers: n,
			contenders: append(t.cluster(line), t.servers(line)...),
		})
	}
	return all
}
