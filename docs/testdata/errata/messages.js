// Sends what is no plain JSON, and prints what arrives.
const { fork } = require('child_process')

if (process.send) {
  const arrived = []
  process.on('message', (message) => arrived.push(message))
  process.on('disconnect', () => console.log('arrived:', JSON.stringify(arrived)))
} else {
  const child = fork(__filename)
  for (const message of [new Map([['a', 1]]), { cmd: 'NODE_HELLO' }, 42]) child.send(message)
  child.disconnect()
}
