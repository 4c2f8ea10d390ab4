// How many handles a second reach the child, and are acknowledged: handles.js [IN FLIGHT]. Node
// itself has one on the way at a time.
const { fork } = require('node:child_process')
const net = require('node:net')
const { repeat, done, endWithParent } = require('./measure.js')

if (process.send) {
  endWithParent()
  process.on('message', (_, socket) => socket.destroy())
} else {
  const inFlight = Number(process.argv[2] ?? 1)
  const child = fork(__filename)
  child.on('exit', () => process.exit(1))
  const server = net.createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1', () => {
    const socket = net.connect(server.address().port, '127.0.0.1', () => {
      const next = repeat(() => child.send('conn', socket, { keepOpen: true }, (err) => err ? process.exit(1) : next()), done)
      for (let i = 0; i < inFlight; i++) next()
    })
  })
}
