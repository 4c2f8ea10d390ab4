// The notes' fork, repaired: the path does not depend on the current directory; the messages
// are read; and a failed start is handled.
//
// node fork.js [PROGRAM ARGUMENTS...]    by default it runs index.js
// OPTIONS='{"timeout":100}' node fork.js …    Node's options; abort is a time in ms
const { fork } = require('node:child_process')
const path = require('node:path')

const [execPath, modulePath, ...args] = process.argv.length > 2
  ? process.argv.slice(2) // fork always passes one argument, as the module
  : [process.execPath, path.join(__dirname, 'index.js')]
const { abort, ...options } = JSON.parse(process.env.OPTIONS ?? '{}')
if (abort) options.signal = AbortSignal.timeout(abort)

const messages = []
let error = ''
try {
  const child = fork(modulePath, args, { execPath, execArgv: [], ...options })
  child.on('message', (message) => { messages.push(message) })
  child.on('error', (err) => { error = err.code })
  // Not 'exit', after which messages may still arrive.
  child.on('close', (code, signal) => tell(code, signal, child.killed))
} catch (err) { // some failed starts throw, such as ENOTDIR
  error = err.code
  tell()
}

function tell (code, signal, killed) {
  const end = error ? { code: null, signal: null, killed: false } : { code, signal, killed }
  console.log(JSON.stringify({ messages, error, ...end }))
}
