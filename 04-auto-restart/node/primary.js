// The notes' master.js, repaired: each name is spelled the same everywhere; the path is
// joined; the event is 'exit'; this process accepts no connections, because it would not
// answer them; a worker that keeps failing is started again after longer and longer pauses;
// and every worker that is not frozen ends with this process, whatever ends it. It has no
// limit on restarts and no heartbeat, which would need more than a page.
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
const stableAfter = 2000 // ms; a worker that has been ready for this long is stable
const drainTimeout = 5000 // ms

if (!(n >= 1 && port >= 0 && port < 65536)) {
  console.error('Usage: node primary.js [PORT [N [PROGRAM]]]')
  process.exit(2)
}

// A net.Server would accept connections. Node has no public way to hold a socket without
// accepting; this is what node:cluster itself does. The socket is only bound: connections
// wait in its queue once the first worker listens.
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

// createWorker starts a worker. failures counts the failures in a row before it. old is the
// worker that serves until the new one is ready.
function createWorker (failures = 0, old) {
  const worker = program
    ? fork('worker', { execPath: program, execArgv: [], detached: true })
    : fork(path.join(__dirname, 'worker.js'), { detached: true })
  let ready // the time when it got ready
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
      say(`worker ${worker.pid} asks to be replaced`)
      again(worker)
    }
  })
  worker.on('exit', (code, signal) => {
    say(`worker ${worker.pid} exited with ${signal ? `signal ${signal}` : `code ${code}`}`)
    gone()
  })
  worker.on('error', (err) => {
    say(err.message)
    if (!worker.pid) gone() // it could not be started: there will be no 'exit'
  })

  function gone () {
    workers.delete(worker)
    if (stopping) return exitIfLast()
    if (!leaving) again(old)
  }

  // again replaces the worker. predecessor serves until the replacement is ready.
  function again (predecessor) {
    const stable = ready && performance.now() - ready >= stableAfter
    const pause = stable ? 0 : Math.min(firstPause * 2 ** failures, maxPause)
    setTimeout(() => stopping || createWorker(stable ? 0 : failures + 1, predecessor), pause)
  }
}

function exitIfLast () {
  if (workers.size === 0) process.exit(0)
}

// The stop ladder: ask, SIGTERM, SIGKILL.
function stop (worker) {
  if (worker.connected) worker.send({ act: 'stop', within: drainTimeout })
  setTimeout(() => worker.kill('SIGTERM'), drainTimeout).unref()
  setTimeout(() => worker.kill('SIGKILL'), drainTimeout + 1000).unref()
}

// process.on('exit') is not enough: it is not called when a signal ends the process.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => {
    stopping = true
    say('stopping')
    socket.close()
    for (const worker of workers) stop(worker)
    exitIfLast()
  })
}

for (let i = 0; i < n; i++) createWorker()
