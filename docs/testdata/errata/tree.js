// exec starts a shell, and the shell starts index.js. kill() ends the shell.
const { exec } = require('child_process')

const shell = exec('node index.js; true')
let said = ''
shell.stdout.on('data', (line) => { said = line })
shell.stdout.once('data', () => shell.kill())
shell.on('exit', () => process.kill(said, 'SIGUSR2'))
shell.on('close', (code, signal) => console.log(`the shell: ${signal}, its child: ${said}`))
