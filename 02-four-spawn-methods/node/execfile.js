// The notes' execFile, repaired: index.js is named by its path, is executable, and names its
// interpreter in the first line; and the error is handled.
//
// node execfile.js [PROGRAM ARGUMENTS...]    by default it runs index.js
// OPTIONS='{"timeout":100}' node execfile.js …    Node's options; abort is a time in ms
const { execFile } = require('node:child_process')
const path = require('node:path')

const [file = path.join(__dirname, 'index.js'), ...args] = process.argv.slice(2)
const { abort, ...options } = JSON.parse(process.env.OPTIONS ?? '{}')
if (abort) options.signal = AbortSignal.timeout(abort)
options.encoding = 'buffer' // as text, maxBuffer would cut between characters

try {
  execFile(file, args, options, tell)
} catch (err) { // some failed starts throw, such as ENOTDIR
  tell(err, '', '')
}

function tell (err, stdout, stderr) {
  const { code = 0, signal = null, killed = false } = err ?? {}
  const end = typeof code === 'string' ? { error: code, code: null } : { error: '', code }
  console.log(JSON.stringify({ stdout: `${stdout}`, stderr: `${stderr}`, ...end, signal, killed }))
}
