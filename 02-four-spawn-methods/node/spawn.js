// The notes' spawn, repaired: its output is read, and a failed start is handled.
//
// node spawn.js [PROGRAM ARGUMENTS...]    by default it runs index.js
// OPTIONS='{"timeout":100}' node spawn.js …    Node's options; abort is a time in ms
const { spawn } = require('node:child_process')
const path = require('node:path')

const [file = process.execPath, ...args] = process.argv.slice(2)
if (process.argv.length === 2) args.push(path.join(__dirname, 'index.js'))
const { abort, ...options } = JSON.parse(process.env.OPTIONS ?? '{}')
if (abort) options.signal = AbortSignal.timeout(abort)

let stdout = ''
let stderr = ''
let error = ''
try {
  const child = spawn(file, args, options)
  // Otherwise a character in two chunks would become two broken ones.
  child.stdout.setEncoding('utf8')
  child.stderr.setEncoding('utf8')
  child.stdout.on('data', (data) => { stdout += data })
  child.stderr.on('data', (data) => { stderr += data })
  child.on('error', (err) => { error = err.code })
  // Not 'exit': 'close' comes when the streams have ended, too.
  child.on('close', (code, signal) => tell(code, signal, child.killed))
} catch (err) { // some failed starts throw, such as ENOTDIR
  error = err.code
  tell()
}

function tell (code, signal, killed) {
  const end = error ? { code: null, signal: null, killed: false } : { code, signal, killed }
  console.log(JSON.stringify({ stdout, stderr, error, ...end }))
}
