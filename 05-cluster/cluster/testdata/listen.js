// Servers that print where they listen, or why not: node listen.js OPTIONS..., which are
// those of listen(), as JSON
const http = require('node:http')
process.argv.slice(2).forEach((options, i) => {
  const server = http.createServer((request, response) => response.end(`server ${i}`))
  server.on('listening', () => console.log(i, 'address', JSON.stringify(server.address())))
  server.on('error', (error) => console.log(i, 'error', JSON.stringify({ ...error, message: error.message })))
  server.listen(JSON.parse(options))
})
