// Starts as many worker_threads as its parent says, and answers when they wait.
const { Worker } = require('worker_threads')

const wait = `
  const { parentPort } = require('worker_threads')
  parentPort.on('message', () => {})
  parentPort.postMessage('waiting')`

process.on('message', async function (n) {
  for (; n > 0; n--) {
    const worker = new Worker(wait, { eval: true })
    await new Promise((resolve) => worker.once('message', resolve))
  }
  process.send('waiting')
})
process.on('disconnect', () => process.exit())
