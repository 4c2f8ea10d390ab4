// A server that answers with its pid: node https.js CERTIFICATE KEY
const fs = require('node:fs')
const https = require('node:https')
const [cert, key] = process.argv.slice(2).map((path) => fs.readFileSync(path))
https.createServer({ cert, key }, (request, response) => {
  response.end(`worker ${process.pid}`)
}).listen(0, '127.0.0.1')
