// A server that answers with the request, while that comes: node echo.js
require('node:http').createServer((request, response) => {
  response.flushHeaders()
  request.pipe(response)
}).listen(0, '127.0.0.1')
