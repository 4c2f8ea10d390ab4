'use strict';
// Sends a connection, and then a message, to a child that rejects the connection
// argv[3] times.
const assert = require('assert');
const net = require('net');
const child = require('./peer')('node-reject');

const server = net.createServer({ pauseOnConnect: true }, (socket) => {
  server.close();
  child.send('with a connection', socket);
  child.send('after it');
});
server.listen(0, '127.0.0.1', () => {
  net.connect(server.address().port, '127.0.0.1').resume();
});

const warnings = [];
process.removeAllListeners('warning'); // they print warnings
process.on('warning', ({ name }) => warnings.push(name));
child.on('exit', () => {
  const want = process.argv[3] > 3 ? ['SentHandleNotReceivedWarning'] : [];
  assert.deepStrictEqual(warnings, want);
});
