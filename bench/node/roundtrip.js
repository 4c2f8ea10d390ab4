// How many microseconds a message takes to the child and back: roundtrip.js [CPU of the child].
const { fork } = require('node:child_process')
const { repeat, done, endWithParent, pin, message } = require('./measure.js')

if (process.send) {
  endWithParent()
  pin(process.argv[2])
  process.on('message', (value) => process.send(value))
} else {
  const child = fork(__filename, process.argv.slice(2))
  const next = repeat(() => child.send(message(20)), (rate) => done(1e6 / rate))
  child.on('message', next)
  child.on('exit', () => process.exit(1))
  next()
}
