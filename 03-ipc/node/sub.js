// The notes' sub.js, repaired: a message is printed as JSON. The 'message' listener keeps
// this process running until the parent disconnects.
const say = (...words) => console.log(`[sub ${process.pid}]`, ...words)

process.on('message', (m) => {
  say(`message from parent ${process.ppid}:`, JSON.stringify(m))
})
process.on('disconnect', () => say('the parent has disconnected'))

process.send({ foo: 'bar' })
say('sent {"foo":"bar"}')
