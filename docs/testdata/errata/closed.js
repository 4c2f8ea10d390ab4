// Follows the notes' cluster: kills its only worker when it listens, and connects to its port.
const { once } = require('events')
const net = require('net')

cluster.once('listening', async (worker, { port }) => {
  worker.process.kill('SIGKILL')
  await Promise.all([once(worker, 'exit'), once(worker, 'disconnect')])
  net.connect(port, '127.0.0.1').on('error', (err) => console.log(err.code))
})
