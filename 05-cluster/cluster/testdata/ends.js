// A server that ends on request: node ends.js; then GET /disconnect, /exit/CODE, ...
const cluster = require('node:cluster')
const ends = {
  disconnect: () => cluster.worker.disconnect(),
  kill: () => cluster.worker.kill(),
  channel: () => process.disconnect(),
  exit: (code) => process.exit(code),
  crash: () => { throw new TypeError('all is lost') }
}
require('node:http').createServer((request, response) => {
  const [, how, code] = request.url.split('/')
  response.end('bye', () => ends[how](Number(code)))
}).listen(0, '127.0.0.1')
