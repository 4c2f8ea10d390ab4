// A server that sends its primary the numbers from 0, receives as many, and says so:
// node counts.js NUMBER
const messages = Number(process.argv[2])
let sent = 0
let received = 0

const wrong = (message) => {
  console.error(`instead of ${received} came`, message)
  process.exit(1)
}
const finish = () => { if (sent === messages && received === messages) process.send('all') }
const send = () => { // each after the one before it, so that they do not pile up
  if (sent === messages) return finish()
  process.send(sent, () => {
    sent++
    setImmediate(send)
  })
}
process.on('message', (message) => {
  if (message !== received) wrong(message)
  received++
  finish()
})
require('node:http').createServer((_, response) => response.end(`worker ${process.pid}`)).listen(0, '127.0.0.1', send)
