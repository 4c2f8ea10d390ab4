// The notes' last program, repaired: it uses today's names (primary, not master); the path
// does not depend on the current directory; the number of workers is availableParallelism,
// and not the CPUs of the machine; and a worker that ends is replaced, which cluster does not
// do by itself. A worker that fails at once is started again at once, and the port is closed
// while no worker is left.
//
// node primary.js [PORT [N]]            N worker.js
// node primary.js PORT N PROGRAM        N workers, any program that listens through a cluster
// EVERY=5000 node primary.js …          the worker in slot 0 does a job every 5000 ms
const cluster = require('node:cluster')
const os = require('node:os')
const path = require('node:path')

const [port = 1337, n = os.availableParallelism(), program] = process.argv.slice(2)
const say = (...words) => console.log(`[primary ${process.pid}]`, ...words)

if (!(n >= 1 && port >= 0 && port < 65536)) {
  console.error('Usage: node primary.js [PORT [N [PROGRAM]]]')
  process.exit(2)
}

// cluster runs process.execPath, and has no setting for it.
if (program) process.execPath = path.resolve(program)
cluster.setupPrimary({
  exec: path.join(__dirname, 'worker.js'),
  args: ['-addr', `127.0.0.1:${port}`],
  execArgv: []
})

let stopping = false

// A slot is a number that a worker's replacement has as well. cluster does not have slots; pm2 does.
const inSlot = []
function fork (slot) {
  const worker = cluster.fork({ CLUSTER_SLOT: slot, NODE_APP_INSTANCE: slot })
  worker.slot = slot
  inSlot[slot] = worker
}

let requests = 0
cluster.on('message', (worker, message) => {
  const { act, id } = message ?? {} // a worker may send null
  if (act === 'request') requests++
  if (act === 'count') worker.send({ act, id, requests })
})

const { EVERY } = process.env
let job = 0
if (EVERY > 0) setInterval(() => { if (inSlot[0]?.isConnected()) inSlot[0].send({ act: 'job', job: ++job }) }, EVERY).unref()

cluster.on('fork', (worker) => {
  say(`worker ${worker.process.pid} is started`)
  // A message may be written to a worker that has just ended. Without a listener, that error
  // would end the primary.
  worker.on('error', (err) => say(`worker ${worker.process.pid}: ${err.message}`))
})
cluster.on('listening', (worker, { address, port }) => say(`worker ${worker.process.pid} listens on http://${address}:${port}`))
cluster.on('exit', (worker, code, signal) => {
  const how = worker.exitedAfterDisconnect ? 'has left' : 'failed'
  say(`worker ${worker.process.pid} ${how} (${signal ? `signal ${signal}` : `code ${code}`})`)
  if (!stopping) fork(worker.slot)
})

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => {
    stopping = true
    say('stopping: the workers finish their requests')
    cluster.disconnect()
  })
}

for (let slot = 0; slot < n; slot++) fork(slot)
