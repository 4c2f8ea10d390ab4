// Sockets that answer each packet: node udp.js OPTIONS..., which are those of bind() and
// the type, as JSON
const dgram = require('node:dgram')
process.argv.slice(2).map((text) => JSON.parse(text)).forEach((options, i) => {
  const socket = dgram.createSocket(options.type)
  socket.on('listening', () => console.log(i, 'address', JSON.stringify(socket.address())))
  socket.on('error', (error) => console.log(i, 'error', JSON.stringify({ ...error, message: error.message })))
  socket.on('message', (message, { address, port }) => socket.send(`${message} at ${process.pid}`, port, address))
  socket.bind(options)
})
