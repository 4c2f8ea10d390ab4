// Two children write more than their pipes hold. Only the output of the second one is read.
const { spawn } = require('child_process')

const writes = ['-e', 'process.stdout.write("x".repeat(1e6))']
const unread = spawn('node', writes)
unread.stdout.once('readable', () => { // it has begun to write
  const read = spawn('node', writes)
  read.stdout.resume()
  read.on('exit', () => {
    const other = unread.exitCode ?? 'still waits'
    console.log(`read: exit code ${read.exitCode}, not read: ${other}`)
    unread.kill('SIGKILL')
  })
})
