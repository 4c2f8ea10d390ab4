package docs_test

import (
	"embed"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"playing-with-processes/internal/clitest"
)

// An erratum is a row of errata.md, and the programs that prove it. Node runs main.js.
type erratum struct {
	row     int
	program files
	want    string // in the output, and on the page
}

type files map[string]string

// The listings of the notes, with their mistakes.
var (
	copying   = listing(0)
	methods   = listing(1)
	talk      = strings.Split(listing(2), "// sub.js\n") // parent.js, sub.js
	master    = listing(3)
	clustered = listing(4)
)

// The same, each repaired as far as the next row needs it.
var (
	forks    = repair(copying, "fork()", "fork")
	parent   = repair(talk[0], "'./sub.js'", "'/sub.js'")
	servers  = repair(master, "sever.", "server.")
	named    = repair(servers, "createWorkder", "createWorker")
	joined   = repair(named, "__dirname, '/worker.js'", "__dirname + '/worker.js'")
	restarts = repair(joined, "'exist'", "'exit'")
)

const (
	disconnects = "\nn.on('message', () => n.disconnect())"
	endsWithIt  = "\nfor (const pid in workers) workers[pid].on('exit', () => process.exit())"
)

var errata = []erratum{
	{1, files{"main.js": `const { Worker, isMainThread, threadId, workerData } = require('worker_threads')
if (isMainThread) new Worker(__filename, { workerData: process.pid })
else console.log('thread ' + threadId + ', same process:', workerData === process.pid)`}, "thread 1, same process: true"},
	{2, files{"main.js": `process.on('uncaughtException', (err) => console.log('caught:', err.message))
setImmediate(() => console.log('still running'))
throw new Error('oops')`}, "still running"},

	{4, files{"main.js": forks, "index.js": "console.log('cpus:', typeof cpus)"}, "cpus: undefined"},
	{5, files{"main.js": copying}, `The "modulePath" argument must be of type string`},
	{7, files{"main.js": "process.chdir('/')\n" + forks}, "Cannot find module '/index.js'"},
	{8, files{"main.js": `const server = require('net').createServer().listen(0).unref()
process.env.PORT = server.address().port
` + forks, "index.js": "require('http').createServer().listen(process.env.PORT)"}, "listen EADDRINUSE"},

	{10, files{"main.js": "console.log(require('child_process').exec('node index.js').spawnargs)"},
		"[ '/bin/sh', '-c', 'node index.js' ]"},
	{11, files{"main.js": script("unread.js")}, "read: exit code 0, not read: still waits"},
	{12, files{"main.js": "process.env.PATH = ''\n" + methods}, "Error: spawn node ENOENT"},
	{13, files{"main.js": `require('child_process').exec('echo "arrives as $((6*7))"', (err, stdout) => console.log(stdout))`},
		"arrives as 42"},
	{14, files{"main.js": script("tree.js"), "index.js": script("still.js")}, "the shell: SIGTERM, its child: still here"},
	{15, files{"main.js": `require('child_process').exec('yes', (err) => console.log(err.code))`},
		"ERR_CHILD_PROCESS_STDIO_MAXBUFFER"},
	{16, files{"main.js": repair(methods, "// some code", "console.log(err)"), "index.js": ""},
		"Error: spawn index.js ENOENT"},

	{19, files{"main.js": talk[0], "sub.js": talk[1]}, "Cannot find module '/notes./sub.js'"},
	{20, files{"main.js": parent + disconnects, "sub.js": "process.send('from sub.js')"},
		"This message send from parent.js: from sub.js"},
	{21, files{"main.js": parent + disconnects, "sub.js": talk[1]}, "Child get message: [object Object]"},
	{22, files{"main.js": script("messages.js")}, "arrived: [{},42]"},
	{23, files{"main.js": parent + "\nn.on('disconnect', () => n.send({hello: 'HELLO'}))", "sub.js": ""},
		"Error [ERR_IPC_CHANNEL_CLOSED]: Channel closed"},
	{24, files{"main.js": script("endless.js"), "parent.js": parent + "\nconsole.log('sub', n.pid)", "sub.js": talk[1]},
		"the parent: still runs, the child: still runs"},
	{25, files{"main.js": "require('child_process').spawn('node', ['index.js'], { stdio: 'inherit' })",
		"index.js": "console.log('process.send:', process.send)"}, "process.send: undefined"},
	{26, files{"main.js": forks, "index.js": "console.log('a socket:', require('fs').fstatSync(3).isSocket())"}, "a socket: true"},
	{27, files{"main.js": `require('child_process').spawn('sh', ['-c', 'echo 42 >&3'], { stdio: [0, 1, 2, 'ipc'] })
	.on('message', (m) => console.log('message:', m))`}, "message: 42"},
	{28, files{"main.js": forks, "index.js": "console.log('in the child:', process.env.NODE_CHANNEL_FD)"}, "in the child: undefined"},

	{31, files{"main.js": master}, "ReferenceError: sever is not defined"},
	{32, files{"main.js": servers}, "ReferenceError: createWorker is not defined"},
	{33, files{"main.js": named}, `The "args" argument must be an instance of Array`},
	{34, files{"main.js": joined + endsWithIt}, "Cannot find module '/notes/worker.js'"},
	{35, files{"main.js": joined + `
const [worker] = Object.values(workers)
worker.on('exit', () => {
	console.log('workers that run:', Object.values(workers).filter((w) => w.exitCode === null).length)
	process.exit()
})`, "worker.js": ""}, "workers that run: 0"},
	{36, files{"main.js": restarts + script("limit.js"), "worker.js": ""}, "restarts at once: 3"},
	{37, files{"main.js": repair(joined, "listen(0)", "listen(0, '127.0.0.1')") + endsWithIt, "worker.js": `
process.on('message', (message, handle) => { console.log(message, handle); process.exit() })`}, "server undefined"},
	{38, files{"main.js": joined + script("hang.js"), "worker.js": script("worker.js")},
		"a connection is accepted by the master, and never answered"},
	{40, files{"main.js": script("orphans.js"), "master.js": joined, "worker.js": script("worker.js")},
		"SIGTERM, SIGKILL: the worker still answers"},
	{41, files{"main.js": `const worker = require('child_process').fork('./worker.js')
worker.on('message', (m) => { console.log(m); worker.kill(m === 'ready' ? 'SIGTERM' : 'SIGKILL') })`,
		"worker.js": `process.on('SIGTERM', () => process.send('still here'))
process.on('message', () => {})
process.send('ready')`}, "still here"},

	{42, files{"main.js": clustered + `
process.on('exit', (code) => console.log('workers:', Object.keys(cluster.workers).length + ', exit code:', code))`,
		"worker.js": "process.exit(1)"}, "workers: 0, exit code: 0"},
	{43, files{"main.js": clustered + script("closed.js"), "worker.js": "require('net').createServer().listen(0)"}, "ECONNREFUSED"},
	{44, files{"main.js": clustered + "\nconsole.log('setupMaster is setupPrimary:', cluster.setupMaster === cluster.setupPrimary)",
		"worker.js": "process.exit()"}, "setupMaster is setupPrimary: true"},
	{45, files{"main.js": "process.chdir('/')\n" + clustered}, "Cannot find module '/worker.js'"},
	{46, files{"main.js": clustered + "\nconsole.log('round robin:', cluster.schedulingPolicy === cluster.SCHED_RR)",
		"worker.js": "process.exit()"}, "round robin: true"},
}

// Each row with ✓ must have a program, and each program's output must be in its row.
func TestErrataPage(t *testing.T) {
	rows, proved := parseRows(t), map[int]bool{}
	for _, e := range errata {
		proved[e.row] = true
		require.Contains(t, rows[e.row], e.want)
	}
	require.Equal(t, withMark(rows), slices.Sorted(maps.Keys(proved)))
}

// Node must print what the page says.
func TestErrata(t *testing.T) {
	clitest.NeedNode(t)
	for _, e := range errata {
		t.Run(fmt.Sprint("row ", e.row), func(t *testing.T) {
			t.Parallel()
			require.Contains(t, run(t, e.program), e.want)
		})
	}
}

var row = regexp.MustCompile(`(?m)^\| <a id="e(\d+)"></a>(\d+) \|.*\|$`)

// parseRows returns the rows of the page by their numbers, which must be dense.
func parseRows(t *testing.T) map[int]string {
	t.Helper()
	rows := map[int]string{}
	for i, found := range row.FindAllStringSubmatch(page("errata.md"), -1) {
		require.Equal(t, []string{strconv.Itoa(i + 1), strconv.Itoa(i + 1)}, found[1:])
		rows[i+1] = found[0]
	}
	return rows
}

func withMark(rows map[int]string) (marked []int) {
	for number, text := range rows {
		if strings.Contains(text, " ✓ |") {
			marked = append(marked, number)
		}
	}
	slices.Sort(marked)
	return marked
}

// run returns what main.js prints. The processes that it starts must end with it.
func run(t *testing.T, program files) string {
	t.Helper()
	cmd := clitest.Command(t, "node", "main.js")
	cmd.Dir = write(t, program)
	printed := clitest.Finish(t, cmd)
	return strings.ReplaceAll(printed.Stdout+printed.Stderr, cmd.Dir, "/notes")
}

// write writes a program into a directory of its own, as a path without symbolic links.
func write(t *testing.T, program files) (dir string) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	for name, text := range program {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	return dir
}

//go:embed notes.md errata.md testdata/errata
var sources embed.FS

func page(name string) string {
	text, err := sources.ReadFile(name)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func script(name string) string { return "\n" + page("testdata/errata/"+name) }

var code = regexp.MustCompile("(?s)```javascript\n(.*?)```")

// listing returns the notes' nth listing, on a port that is free and for one CPU.
func listing(n int) string {
	text := code.FindAllStringSubmatch(page("notes.md"), -1)[n][1]
	return strings.NewReplacer("1337", "0", "require('os').cpus()", "['CPU']").Replace(text)
}

// repair corrects one mistake, which must be there.
func repair(listing, wrong, right string) string {
	if !strings.Contains(listing, wrong) {
		panic("nothing to repair: " + wrong)
	}
	return strings.ReplaceAll(listing, wrong, right)
}
