// The notes' parent.js, repaired: the path is joined; a message is printed as JSON, and as
// one from the child; and both processes end.
//
// node parent.js            forks sub.js
// node parent.js PROGRAM    forks any program that speaks the channel
const { fork } = require('node:child_process')
const path = require('node:path')

const program = process.argv[2]
const child = program
  ? fork('sub', { execPath: program, execArgv: [] })
  : fork(path.join(__dirname, 'sub.js'))

const say = (...words) => console.log(`[parent ${process.pid}]`, ...words)
say('forked', child.pid)

child.on('message', (m) => {
  say(`message from child ${child.pid}:`, JSON.stringify(m))
  child.disconnect() // without this neither process would end
})
child.on('exit', (code, signal) => {
  say(`child ${child.pid} exited with`, signal ? `signal ${signal}` : `code ${code}`)
})
child.on('error', (err) => {
  console.error(err.message)
  process.exitCode = 1
})

child.send({ hello: 'HELLO' })
say('sent {"hello":"HELLO"}')
