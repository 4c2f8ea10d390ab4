// Node's own primary, which obeys commands and reports what happens:
//
// node primary_of_go.js BINARY ROLE ARGS...
//
// Each event is a line of JSON; given and refused are about a connection. Each command is a
// line:
// fork | fork SCRIPT ARGS... | restart | disconnect ID | kill ID SIGNAL | flood ID
// The end of its input is the end of the cluster.
const cluster = require('node:cluster')

const node = process.execPath
const [binary, role, ...args] = process.argv.slice(2)

const report = (event, worker, more) =>
  console.log(JSON.stringify({ event, id: worker.id, pid: worker.process.pid, ...more }))

// cluster has no setting for what it runs: it is whatever execPath is.
const fork = (execPath, exec, args) => {
  process.execPath = execPath
  cluster.setupPrimary({ exec, args, execArgv: [] })
  const worker = cluster.fork()
  const { send } = worker.process
  worker.process.send = function (message, ...rest) {
    if (message.act === 'newconn') report('given', worker)
    return send.call(this, message, ...rest)
  }
  worker.process.on('internalMessage', ({ accepted }) => {
    if (accepted === false) report('refused', worker)
  })
}

const commands = {
  fork: (script, ...rest) => script ? fork(node, script, rest) : fork(binary, role, args),
  restart: () => cluster.on('exit', () => fork(binary, role, args)),
  disconnect: (id) => cluster.workers[id].disconnect(),
  flood: (id) => { for (let i = 0; i < 1000; i++) cluster.workers[id].send('x'.repeat(4096)) },
  kill: (id, signal) => cluster.workers[id].kill(signal)
}

cluster.on('fork', (worker) => report('fork', worker))
cluster.on('online', (worker) => report('online', worker))
cluster.on('listening', (worker, address) => report('listening', worker, address))
cluster.on('disconnect', (worker) => report('disconnect', worker))
cluster.on('exit', (worker, code, signal) =>
  report('exit', worker, { code, signal, left: worker.exitedAfterDisconnect }))

require('node:readline').createInterface({ input: process.stdin })
  .on('line', (line) => {
    const [command, ...words] = line.split(' ')
    commands[command](...words)
  })
  .on('close', () => {
    cluster.removeAllListeners('exit')
    cluster.disconnect()
  })
