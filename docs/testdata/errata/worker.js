// The worker.js that the notes do not show: it serves on the socket that the master sends.
const http = require('http')

const answers = http.createServer((request, response) => response.end('answered'))
process.on('message', (message, server) => {
  server.on('connection', (socket) => answers.emit('connection', socket))
  const { port } = server.address()
  process.send('ready', () => console.log('worker', process.pid, 'serves', port))
})
