// How many milliseconds pass between the call of fork and the first message of the child.
const { fork } = require('node:child_process')
const { seconds, done, endWithParent } = require('./measure.js')

if (process.send) {
  endWithParent()
  process.send('hello')
} else {
  const begun = performance.now()
  let spent = 0
  let forks = 0
  const next = () => {
    if (forks > 0 && performance.now() - begun >= seconds * 1000) return done(spent / forks)
    const start = performance.now()
    const child = fork(__filename)
    child.once('message', () => {
      spent += performance.now() - start
      forks++
      child.disconnect()
    })
    child.once('exit', next)
  }
  next()
}
