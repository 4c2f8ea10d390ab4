// Follows master.js: connects again and again, until the master itself accepts a connection.
const http = require('http')

server.on('connection', () => { // changes nothing: nothing in the master reads a request
  console.log('a connection is accepted by the master, and never answered')
  process.exit()
})

function connect () {
  const options = { host: '127.0.0.1', port: server.address().port, agent: false }
  http.get(options, (response) => response.resume().on('end', connect))
}

for (const pid in workers) workers[pid].on('message', connect) // 'ready'
