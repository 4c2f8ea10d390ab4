// The notes' first listing, repaired: fork is not called when it is required; the number of
// CPUs is what this process may use; the path does not depend on the current directory; and
// the children have a job.
//
// node primary.js                        one worker.js per CPU
// node primary.js PROGRAM [N [BELOW]]    N workers, any program that speaks the channel
const { fork } = require('node:child_process')
const os = require('node:os')
const path = require('node:path')
const count = require('./count.js')

const [program, n = os.availableParallelism(), below = 5_000_000] = process.argv.slice(2)
const say = (...words) => console.log(`[primary ${process.pid}]`, ...words)
say(`the job: count the primes below ${below}; shares: ${n}`)

const forkWorker = () => program
  ? fork('worker', { execPath: program, execArgv: [] })
  : fork(path.join(__dirname, 'worker.js'))

const start = performance.now()
const results = []
const workers = []
for (let i = 0; i < n; i++) {
  const worker = forkWorker()
  workers.push(worker)
  say(`forked ${worker.pid} for share ${i + 1} of ${n}`)
  worker.send({ number: i, of: Number(n), below: Number(below) })
  worker.on('message', (result) => {
    results.push(result)
    say(`share ${i + 1} of ${n}: ${result.primes} primes in ${result.wall.toFixed(2)} s`)
    worker.disconnect()
    if (results.length === workers.length) report()
  })
  worker.on('exit', (code, signal) => {
    if (code !== 0) giveUp(`worker ${worker.pid} ended with ${signal ?? `code ${code}`}`)
  })
  worker.on('error', (err) => giveUp(err.message))
}

function report () {
  const wall = (performance.now() - start) / 1000
  const primes = results.reduce((sum, result) => sum + result.primes, 0)
  const alone = count({ number: 0, of: 1, below: Number(below) })
  say(`${primes} primes by ${n} processes in ${wall.toFixed(2)} s`)
  say(`${alone.primes} primes by this one alone in ${alone.wall.toFixed(2)} s`)
}

// giveUp kills all workers, so that a failure leaves no process behind.
function giveUp (why) {
  console.error(why)
  process.exitCode = 1
  for (const worker of workers) worker.kill('SIGKILL')
}
