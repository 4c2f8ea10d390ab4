// Node's own primary, which reports what happens: node primary.js N PROGRAM ARGUMENTS...
const cluster = require('node:cluster')
const [n, exec, ...args] = process.argv.slice(2)
const report = (what, more) => console.log('event', JSON.stringify({ what, ...more }))
let leaving = false

cluster.setupPrimary({ exec, args })
cluster.on('listening', (worker, { address, port }) => report('listening', { address, port }))
cluster.on('exit', ({ exitedAfterDisconnect }, code, signal) => {
  report('exit', { exitedAfterDisconnect, code, signal })
  if (!leaving) cluster.fork()
})
process.once('SIGTERM', () => {
  leaving = true
  cluster.disconnect()
})
for (let i = 0; i < n; i++) cluster.fork()
