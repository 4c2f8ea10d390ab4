// The child of primary.js: takes one share, counts, and sends the result.
const count = require('./count.js')

process.on('message', (share) => {
  console.log(`[worker ${process.pid}] counting share ${share.number + 1} of ${share.of}`)
  // Until count returns, this process receives no message, and does not notice that its
  // parent died.
  process.send(count(share))
})
