// A server that never finishes its work: it does not answer /, and answers only the first
// half of /half.
//
// node hold.js HOST:PORT
const [, host, port] = /^(.*):(\d+)$/.exec(process.argv[2])
require('node:http').createServer((request, response) => {
  const begun = () => console.log('serving', request.url)
  if (request.url !== '/half') return begun()
  response.writeHead(200, { 'Content-Length': 8 })
  response.write('half', begun)
}).listen({ host, port })
