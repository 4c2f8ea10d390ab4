// A server that sends its primary messages of its own, far more than a channel holds, before it
// listens and with each answer
const send = () => { for (let i = 0; i < 5; i++) process.send('x'.repeat(2 ** 20 * i)) }
send()
require('node:http').createServer((request, response) => {
  send()
  response.end(`worker ${process.pid}`)
}).listen(0, '127.0.0.1')
