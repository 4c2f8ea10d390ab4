// The worker.js that the notes do not show: an ordinary server. Nothing in it is about the
// cluster, in which the primary has the port, and it runs alone as well.
//
// node worker.js [-addr HOST:PORT]
const http = require('node:http')

const [option, address = '127.0.0.1:1337'] = process.argv.slice(2)
const [, host, port] = /^(.*):(\d+)$/.exec(address) ?? []
if ((option ?? '-addr') !== '-addr' || !port) {
  console.error('Usage: node worker.js [-addr HOST:PORT]')
  process.exit(2)
}

const answer = (response) => response.end(`worker ${process.pid}\n`)

http.createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://localhost')
  switch (pathname) {
    case '/': return answer(response)
    case '/crash': throw new Error('a client asked for /crash')
    case '/hang': return process.kill(process.pid, 'SIGSTOP')
    case '/slow':
      response.flushHeaders()
      return setTimeout(answer, Number(searchParams.get('ms')), response)
    default: response.writeHead(404).end()
  }
}).listen({ host, port }, function () {
  const { address, port } = this.address()
  console.log(`[worker ${process.pid}] serving on http://${address}:${port}`)
})
