'use strict';
// Sends fifty servers while it receives fifty. Each message has the port of its
// server, and is long enough to fill the channel.
const assert = require('assert');
const net = require('net');
const peer = require('./peer')('node-crossing');

let missing = 50;
for (let i = 0; i < 50; i++) {
  const pad = 'x'.repeat(i % 10 ? 40_000 : 300_000);
  const server = net.createServer().listen(0, '127.0.0.1', () => {
    peer.send({ port: server.address().port, pad }, server, () => server.close());
  });
}
peer.on('message', ({ port }, server) => {
  assert.strictEqual(server.address().port, port);
  server.close();
  if (--missing === 0) peer.send('all');
});
peer.on('disconnect', () => assert.strictEqual(missing, 0));
