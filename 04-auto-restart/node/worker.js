// The worker.js that the notes do not show. It receives the listening socket with the
// message 'server', and serves on it until its primary sends stop or is gone.
const http = require('node:http')
const net = require('node:net')

const beatInterval = 1000 // ms
const pages = {
  '/': answer,
  // An error thrown in a handler ends the whole process.
  '/crash': () => { throw new Error('a client asked for /crash') },
  '/retire': (req, res) => { retire(); answer(req, res) },
  // All handlers share one thread with the heartbeat's timer: an endless loop hangs them all.
  '/hang': () => { while (true); },
  '/slow': (req, res) => {
    res.flushHeaders()
    setTimeout(answer, Number(req.query.get('ms')), req, res)
  }
}

let serving = 0 // requests

const server = http.createServer((req, res) => {
  serving++
  res.on('close', () => serving--)
  const url = new URL('http://localhost' + req.url)
  req.query = url.searchParams
  if (leaving) res.setHeader('Connection', 'close') // the next request must go to another worker
  if (pages[url.pathname]) return pages[url.pathname](req, res)
  res.writeHead(404).end('404 page not found\n')
})

function answer (req, res) { res.end(`worker ${process.pid}\n`) }
function retire () { tell({ act: 'retire' }) }
function tell (notice) { if (process.connected) process.send(notice) }

process.on('message', (message, handle) => {
  if (message === 'server') serve(handle)
  if (message?.act === 'stop') leave(message.within)
})

// serve listens on the handle, which is a net.Server or a bare socket.
function serve (handle) {
  server.listen(handle, () => {
    console.log(`[worker ${process.pid}] serving on ${server.address().address}:${server.address().port}`)
    tell({ act: 'ready', heartbeat: beatInterval })
    setInterval(tell, beatInterval, { act: 'heartbeat' })
  })
}

let leaving = false

// leave accepts no more connections, and finishes the requests within some milliseconds. http's
// own close() would also close idle connections and, since Node 26, those with their first
// request on its way.
function leave (within = 5000) {
  leaving = true
  setTimeout(cutOff, within).unref()
  net.Server.prototype.close.call(server, () => process.disconnect())
}

// On SIGTERM the worker asks to be replaced. While it leaves, SIGTERM changes nothing: systemd and
// pkill send it to primary and workers together, and the primary when the time is over.
process.on('SIGTERM', () => leaving || retire())

// cutOff ends the process. Its exit code says whether that was too early.
function cutOff () {
  if (serving) console.error(`requests that were cut off: ${serving}`)
  process.exit(serving ? 1 : 0)
}

// The primary is gone, or the drain is done.
process.on('disconnect', () => process.exit(0))
