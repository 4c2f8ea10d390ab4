// The notes' master.js. Repaired: the names are spelled as they are used; the path
// is joined; the event is called 'exit'; this process does not accept connections
// itself, and so leave them unanswered; who keeps failing is started again after
// longer and longer pauses; all workers that are not frozen end with this process,
// whatever ends it. It leaves out what needs more than a page: a limit on restarts,
// the heartbeat.
//
// node primary.js [PORT [N]]            N worker.js
// node primary.js PORT N PROGRAM        N workers, any program that speaks the channel
const { fork } = require('node:child_process')
const net = require('node:net')
const os = require('node:os')
const path = require('node:path')

const [port = 1337, n = os.availableParallelism(), program] = process.argv.slice(2)
const say = (...words) => console.log(`[primary ${process.pid}]`, ...words)

const firstPause = 100 // ms; doubled for each failure in a row
const maxPause = 30_000 // ms
const stableAfter = 2000 // ms; who has been ready for so long has held
const drainFor = 5000 // ms

if (!(n >= 1 && port >= 0 && port < 65536)) {
  console.error('Usage: node primary.js [PORT [N [PROGRAM]]]')
  process.exit(2)
}

// A net.Server would accept. There is no public way to hold a socket without that;
// this is the one that node:cluster itself uses. It has an address only: from when the
// first worker listens, connections wait.
const socket = net._createServerHandle('127.0.0.1', Number(port), 4, -1)
const bound = {}
const failed = typeof socket === 'number' ? socket : socket.getsockname(bound)
if (failed) {
  console.error(`port ${port}: ${require('node:util').getSystemErrorName(failed)}`)
  process.exit(1)
}
say(`${n} workers on http://127.0.0.1:${bound.port}`)

const workers = new Set()
let stopping = false

// failures is how often in a row this place's worker has failed; old is who serves
// on in it until the new one is ready.
function createWorker (failures = 0, old) {
  const worker = program
    ? fork('worker', { execPath: program, execArgv: [], detached: true })
    : fork(path.join(__dirname, 'worker.js'), { detached: true })
  let ready // since when
  let leaving = false
  workers.add(worker)
  say('started worker', worker.pid)
  worker.send('server', socket)

  worker.on('message', (message) => {
    if (message?.act === 'ready') {
      ready = performance.now()
      say(`worker ${worker.pid} is ready`)
      if (old) stop(old)
      old = undefined
    }
    if (message?.act === 'retire' && !leaving) {
      leaving = true
      say(`worker ${worker.pid} wants to be replaced`)
      again(worker)
    }
  })
  worker.on('exit', (code, signal) => {
    say(`worker ${worker.pid} exited with ${signal ? `signal ${signal}` : `code ${code}`}`)
    gone()
  })
  worker.on('error', (err) => {
    say(err.message)
    if (!worker.pid) gone() // it could not be started, and there is no 'exit'
  })

  function gone () {
    workers.delete(worker)
    if (stopping) return endIfAlone()
    if (!leaving) again(old)
  }

  // again replaces this worker; who serves on until then is predecessor.
  function again (predecessor) {
    const held = ready && performance.now() - ready >= stableAfter
    const pause = held ? 0 : Math.min(firstPause * 2 ** failures, maxPause)
    setTimeout(() => stopping || createWorker(held ? 0 : failures + 1, predecessor), pause)
  }
}

function endIfAlone () {
  if (workers.size === 0) process.exit(0)
}

// The ladder: ask, SIGTERM, SIGKILL.
function stop (worker) {
  if (worker.connected) worker.send({ act: 'stop' })
  setTimeout(() => worker.kill('SIGTERM'), drainFor).unref()
  setTimeout(() => worker.kill('SIGKILL'), drainFor + 1000).unref()
}

// 'exit' alone would not do: it does not happen when a signal ends the process.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => {
    stopping = true
    say('stopping')
    socket.close()
    for (const worker of workers) stop(worker)
    endIfAlone()
  })
}

for (let i = 0; i < n; i++) createWorker()
