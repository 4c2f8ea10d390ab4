// Runs the notes' parent.js and sub.js. When both have got their message, it starts and awaits
// another Node, and then looks whether they have ended.
const { spawn } = require('child_process')

const parent = spawn('node', ['parent.js'])
let printed = ''
parent.stdout.on('data', (text) => {
  printed += text
  if (/from parent/.test(printed) && /Child get/.test(printed)) {
    parent.stdout.removeAllListeners('data').resume()
    spawn('node', ['-e', '0']).on('exit', look)
  }
})

function look () {
  const [, sub] = /sub (\d+)/.exec(printed)
  process.kill(sub, 0) // throws if there is no such process
  console.log(`the parent: ${parent.exitCode ?? 'still runs'}, the child: still runs`)
  parent.kill('SIGKILL') // then the channel ends, and so does sub.js
}
