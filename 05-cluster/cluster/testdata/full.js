// A server that has room for some connections: node full.js NUMBER [PATH]
const server = require('node:net').createServer((socket) => socket.write(`worker ${process.pid}\n`))
server.maxConnections = Number(process.argv[2])
if (process.argv[3]) server.listen(process.argv[3])
else server.listen(0, '127.0.0.1')
