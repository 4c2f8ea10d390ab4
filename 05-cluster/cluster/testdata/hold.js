// A server that begins its work and never ends it: / is read and not answered, and of
// /half the first half is answered.
//
// node hold.js HOST:PORT
const [, host, port] = /^(.*):(\d+)$/.exec(process.argv[2])
require('node:http').createServer((request, response) => {
  const begun = () => console.log('serving', request.url)
  if (request.url !== '/half') return begun()
  response.writeHead(200, { 'Content-Length': 8 })
  response.write('half', begun)
}).listen({ host, port })
