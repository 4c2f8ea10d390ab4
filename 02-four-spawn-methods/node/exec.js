// The notes' exec, repaired: the error is handled; and what varies is in the environment, not
// in the command line, where the shell would interpret it.
//
// node exec.js ['COMMAND LINE']    by default it runs index.js
// OPTIONS='{"timeout":100}' node exec.js …    Node's options; abort is a time in ms
const { exec } = require('node:child_process')
const path = require('node:path')

const command = process.argv.slice(2).join(' ') || '"$NODE" "$INDEX"'
const { abort, ...options } = JSON.parse(process.env.OPTIONS ?? '{}')
if (abort) options.signal = AbortSignal.timeout(abort)
options.env = { ...process.env, NODE: process.execPath, INDEX: path.join(__dirname, 'index.js') }
options.encoding = 'buffer' // as text, maxBuffer would cut between characters

try {
  exec(command, options, tell)
} catch (err) { // some failed starts throw, such as ENOTDIR
  tell(err, '', '')
}

function tell (err, stdout, stderr) {
  const { code = 0, signal = null, killed = false } = err ?? {}
  const end = typeof code === 'string' ? { error: code, code: null } : { error: '', code }
  console.log(JSON.stringify({ stdout: `${stdout}`, stderr: `${stderr}`, ...end, signal, killed }))
}
