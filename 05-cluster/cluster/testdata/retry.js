// A server that tries to listen until the port is free: node retry.js HOST PORT
const [host, port] = process.argv.slice(2)
const server = require('node:net').createServer((socket) => socket.end(`worker ${process.pid}`))
server.on('error', ({ code }) => {
  console.log('error', code)
  setTimeout(() => server.listen(port, host), 50)
})
server.listen(port, host, () => console.log('address', JSON.stringify(server.address())))
