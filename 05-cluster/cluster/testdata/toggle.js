// A server that SIGUSR2 closes, and opens again: node toggle.js HOST PORT
const [host, port] = process.argv.slice(2)
const server = require('node:http').createServer((request, response) => response.end(`worker ${process.pid}`))
const open = () => server.listen(port, host, () => console.log('open'))
process.on('SIGUSR2', () => {
  if (server.listening) server.close(() => console.log('closed'))
  else open()
})
open()
