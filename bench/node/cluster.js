// What the measurements of the cluster measure: WORKERS processes that serve. It prints its
// address when all of them listen, and ends with its standard input: cluster.js [none].
const cluster = require('node:cluster')
const path = require('node:path')

if (process.argv[2] === 'none') cluster.schedulingPolicy = cluster.SCHED_NONE
cluster.setupPrimary({ exec: path.join(__dirname, 'worker.js'), args: [] })

const workers = Number(process.env.WORKERS ?? 2)
let listening = 0
cluster.on('listening', (_, { address, port }) => {
  if (++listening === workers) console.log(`${address}:${port}`)
})
cluster.on('exit', () => cluster.fork())
for (let i = 0; i < workers; i++) cluster.fork()
process.stdin.on('end', () => process.exit()).resume()
