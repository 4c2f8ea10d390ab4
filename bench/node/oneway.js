// How many messages a second reach the child: oneway.js [SIZE]. The child answers each window,
// and two windows are on the way.
const { fork } = require('node:child_process')
const { repeat, done, endWithParent, message } = require('./measure.js')

const size = Number(process.argv[2] ?? 20)
const window = Math.max(2, Math.min(64, Math.floor((1 << 20) / size)))

if (process.send) {
  endWithParent()
  let received = 0
  process.on('message', () => {
    if (++received % window === 0) process.send(received)
  })
} else {
  const child = fork(__filename, process.argv.slice(2))
  const value = message(size)
  const sendWindow = () => { for (let i = 0; i < window; i++) child.send(value) }
  const next = repeat(sendWindow, (rate) => done(rate * window))
  child.on('message', next)
  child.on('exit', () => process.exit(1))
  sendWindow()
  next()
}
