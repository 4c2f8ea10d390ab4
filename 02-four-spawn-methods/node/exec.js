// The notes' exec. Repaired: the error is looked at; what varies goes into the
// environment and not into the command line, where the shell would act on it.
//
// node exec.js ['COMMAND LINE']    without it it runs index.js
// OPTIONS='{"timeout":100}' node exec.js …    with Node's options; abort is a time, in ms
const { exec } = require('node:child_process')
const path = require('node:path')

const command = process.argv.slice(2).join(' ') || '"$NODE" "$INDEX"'
const { abort, ...options } = JSON.parse(process.env.OPTIONS ?? '{}')
if (abort) options.signal = AbortSignal.timeout(abort)
options.env = { ...process.env, NODE: process.execPath, INDEX: path.join(__dirname, 'index.js') }
options.encoding = 'buffer' // as text, maxBuffer would cut between characters

try {
  exec(command, options, tell)
} catch (err) { // some failures to start are thrown, such as ENOTDIR
  tell(err, '', '')
}

function tell (err, stdout, stderr) {
  const { code = 0, signal = null, killed = false } = err ?? {}
  const end = typeof code === 'string' ? { error: code, code: null } : { error: '', code }
  console.log(JSON.stringify({ stdout: `${stdout}`, stderr: `${stderr}`, ...end, signal, killed }))
}
