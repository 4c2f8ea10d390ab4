// The worker.js that the notes do not show: an ordinary server. Nothing in it is about the
// cluster, in which the primary has the port, and it runs alone as well.
//
// With a primary it sends messages: of each request, to ask for the number of all requests, and
// when it has done a job.
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

// Without the callback, an error would end the process: the primary may be gone.
const tell = (note) => { if (process.connected) process.send(note, () => {}) }

const waiting = new Map() // responses of /count
let lastID = 0
if (process.connected) {
  process.on('message', (message) => {
    const { act, id, requests, job } = message ?? {}
    if (act === 'count') {
      waiting.get(id)?.end(`requests: ${requests}\n`)
      waiting.delete(id)
    } else if (act === 'job') {
      console.log(`[worker ${process.pid}] job ${job} runs here alone, in slot ${process.env.NODE_APP_INSTANCE}`)
      tell({ act: 'done', job })
    }
  })
}

http.createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://localhost')
  tell({ act: 'request' })
  switch (pathname) {
    case '/': return answer(response)
    case '/crash': throw new Error('a client asked for /crash')
    case '/hang': return process.kill(process.pid, 'SIGSTOP')
    case '/count':
      waiting.set(++lastID, response)
      return tell({ act: 'count', id: lastID })
    case '/slow':
      if (searchParams.get('header') !== 'late') response.flushHeaders()
      return setTimeout(answer, Number(searchParams.get('ms')), response)
    default: response.writeHead(404).end()
  }
}).listen({ host, port }, function () {
  const { address, port } = this.address()
  console.log(`[worker ${process.pid}] serving on http://${address}:${port}`)
})
