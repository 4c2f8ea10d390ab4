// The worker.js that the notes do not show. It takes the listening socket that
// comes with the message 'server', and serves on it until its primary says stop,
// or is gone.
const http = require('node:http')
const net = require('node:net')

const beatEvery = 1000 // ms
const pages = {
  '/': answer,
  // Nothing recovers what a handler throws: the whole process ends.
  '/crash': () => { throw new Error('a visitor asked for /crash') },
  '/retire': (req, res) => { retire(); answer(req, res) },
  // All handlers share one thread, and the heartbeat's timer too: one endless loop
  // hangs them all.
  '/hang': () => { while (true); },
  '/slow': (req, res) => {
    res.flushHeaders()
    setTimeout(answer, Number(req.query.get('ms')), req, res)
  }
}

const server = http.createServer((req, res) => {
  const url = new URL('http://localhost' + req.url)
  req.query = url.searchParams
  if (leaving) res.setHeader('Connection', 'close') // the next request shall go elsewhere
  if (pages[url.pathname]) return pages[url.pathname](req, res)
  res.writeHead(404).end('404 page not found\n')
})

function answer (req, res) { res.end(`worker ${process.pid}\n`) }
function retire () { tell({ act: 'retire' }) }
function tell (notice) { if (process.connected) process.send(notice) }

process.on('message', (message, handle) => {
  if (message === 'server') serve(handle)
  if (message?.act === 'stop') leave()
})

// The http server accepts instead of the net server that has come, or on a socket
// that nobody accepts on yet.
function serve (handle) {
  server.listen(handle, () => {
    console.log(`[worker ${process.pid}] serving on ${server.address().address}:${server.address().port}`)
    tell({ act: 'ready', heartbeat: beatEvery })
    setInterval(tell, beatEvery, { act: 'heartbeat' })
  })
}

// It accepts nothing new, and finishes what is open. http's own close() ends idle
// connections as well, and since Node 26 those, too, whose first request is still on
// its way.
let leaving = false
function leave () {
  leaving = true
  net.Server.prototype.close.call(server, () => process.disconnect())
}

// A wish to be replaced; a second one means at once, as does one while it is leaving.
let asked = false
process.on('SIGTERM', () => {
  if (asked || leaving) process.exit(0)
  asked = true
  retire()
})

// The primary is gone, or the drain is done.
process.on('disconnect', () => process.exit(0))
