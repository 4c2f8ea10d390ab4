// A server that answers with the body of the request, while it still arrives: node echo.js
require('node:http').createServer((request, response) => {
  response.flushHeaders()
  request.pipe(response)
}).listen(0, '127.0.0.1')
