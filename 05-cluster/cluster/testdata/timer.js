// A server in a process that does not end by itself, as with a timer or a pool of database
// connections: node timer.js [CODE]    with a CODE, it exits with that on SIGTERM
const [code] = process.argv.slice(2)
if (code) process.on('SIGTERM', () => process.exit(Number(code)))
setInterval(() => {}, 1000)
require('node:http').createServer((request, response) => response.end('served\n')).listen(0, '127.0.0.1')
