// Ends the notes' master.js with each signal, and then asks its worker for an answer.
const { spawn } = require('child_process')
const { once } = require('events')
const http = require('http')
const { createInterface } = require('readline')

async function answersAfter (signal) {
  const master = spawn('node', ['master.js'])
  const [pid, port] = await worker(master)
  master.kill(signal)
  await once(master, 'exit')
  const [response] = await once(http.get({ host: '127.0.0.1', port }), 'response')
  process.kill(pid, 'SIGKILL')
  return response.statusCode === 200 && master.signalCode
}

async function worker (master) {
  for await (const line of createInterface({ input: master.stdout })) {
    const words = line.split(' ')
    if (words[2] === 'serves') return [words[1], words[3]]
  }
}

Promise.all(['SIGTERM', 'SIGKILL'].map(answersAfter)).then((signals) => {
  console.log(`${signals.join(', ')}: the worker still answers`)
})
