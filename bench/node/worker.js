// An ordinary server. It answers hello, or its pid at /pid.
const http = require('node:http')

http.createServer((request, response) => {
  response.end(request.url === '/pid' ? `${process.pid}\n` : 'hello\n')
}).listen(process.env.PORT ?? 0, '127.0.0.1')
