// A dialogue of a primary and its worker, with values and handles:
//
// node talk.js                      both are Node
// node talk.js PROGRAM ARGUMENTS    the worker is another program
//
// The worker says who it is, and then sends back what it receives, until it is told to shut
// down. The primary prints what it receives, and how the worker has ended.
const cluster = require('node:cluster')
const dgram = require('node:dgram')
const net = require('node:net')

const values = [null, true, 1.5, '中文 \u2028 "\\\n', [1, [2]], { a: { b: null } }, { cmd: 'hello' }, { act: 'newconn' }]
const kinds = { 'net.Server': net.Server, 'net.Socket': net.Socket, 'dgram.Socket': dgram.Socket }
const kindOf = (handle) => Object.keys(kinds).find((kind) => handle instanceof kinds[kind]) ?? ''

const close = (handle) => handle.close ? handle.close() : handle.destroy()

if (cluster.isPrimary) primary()
else worker()

function worker () {
  const handles = [] // they keep the process running
  process.on('message', (message, handle) => {
    if (message === 'shutdown') return handles.forEach(close)
    if (handle) handles.push(handle)
    process.send({ back: message }, handle)
  })
  process.send({ id: cluster.worker.id, name: process.env.TALK_NAME })
}

async function primary () {
  const [program, ...args] = process.argv.slice(2)
  if (program) process.execPath = program
  cluster.setupPrimary({ exec: program ? args[0] : __filename, args: args.slice(1), execArgv: [] })
  const say = (...words) => console.log(JSON.stringify(words))
  const received = []
  let wake
  cluster.on('message', (worker, message, handle) => {
    received.push([worker, message, handle])
    wake?.()
  })
  const next = async () => {
    while (received.length === 0) await new Promise((resolve) => { wake = resolve })
    return received.shift()
  }

  const worker = cluster.fork({ TALK_NAME: 'the first' })
  say((await next())[1])
  for (const value of values) {
    worker.send(value)
    const [from, message, handle] = await next()
    say(from.id, message, kindOf(handle))
  }
  for (const socket of await sockets()) {
    const { port } = socket.address()
    worker.send({ use: kindOf(socket) }, socket)
    const [from, message, handle] = await next()
    say(from.id, message, kindOf(handle), handle.address().port === port)
    close(socket)
    close(handle)
  }
  worker.send('shutdown')
  worker.disconnect()
  const timeout = setTimeout(() => worker.kill(), 1 << 30)
  worker.on('disconnect', () => clearTimeout(timeout))
  worker.on('exit', (code, signal) => {
    say('exit', code, worker.exitedAfterDisconnect)
    process.exit()
  })
}

// sockets returns a listening socket, a connection and a UDP socket.
async function sockets () {
  const server = net.createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const other = net.createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => other.once('listening', resolve))
  const socket = net.connect(other.address().port, '127.0.0.1')
  await new Promise((resolve) => socket.once('connect', resolve))
  const udp = dgram.createSocket('udp4').bind(0, '127.0.0.1')
  await new Promise((resolve) => udp.once('listening', resolve))
  return [server, socket, udp]
}
