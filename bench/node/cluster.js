// What the measurements of the cluster measure: WORKERS processes that serve. It prints its
// address when all of them listen, and ends with its standard input: cluster.js [none].
const cluster = require('node:cluster')
const net = require('node:net')
const path = require('node:path')

if (process.argv[2] === 'none') cluster.schedulingPolicy = cluster.SCHED_NONE
cluster.setupPrimary({ exec: path.join(__dirname, 'worker.js'), args: [] })

const workers = Number(process.env.WORKERS ?? 2)
let listening = 0
cluster.on('listening', (_, { port }) => {
  if (++listening === workers) console.log(`127.0.0.1:${port}`)
})
process.stdin.on('end', () => process.exit()).resume()

// Bun's workers listen by themselves, and would have a port each if they listened on port 0.
const free = net.createServer().listen(0, '127.0.0.1', () => {
  const { port } = free.address()
  free.close(() => {
    cluster.on('exit', () => cluster.fork({ PORT: port }))
    for (let i = 0; i < workers; i++) cluster.fork({ PORT: port })
  })
})
