// A server that answers with its pid: node http.js HOST:PORT, or node http.js PATH
const [, host, port] = /^(.*):(\d+)$/.exec(process.argv[2]) ?? []
require('node:http').createServer((request, response) => {
  response.end(`worker ${process.pid}`)
}).listen(port ? { host, port } : { path: process.argv[2] }, function () {
  console.log('address', JSON.stringify(this.address()))
})
