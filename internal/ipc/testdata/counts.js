'use strict';
// A server that sends its connections to a child, and then asks how many are
// open. argv[3] tells the child what to do with them. There is only one server,
// because the child cannot tell servers that listen(0) apart.
const assert = require('assert');
const { once } = require('events');
const net = require('net');
const child = require('./peer')('node-hold');
const what = process.argv[3];

// serve sends three connections to the child.
async function serve() {
  const server = net.createServer({ pauseOnConnect: true });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  for (let i = 0; i < 3; i++) {
    net.connect(server.address().port, '127.0.0.1').resume();
    const [socket] = await once(server, 'connection');
    child.send(what, socket);
  }
  await ask('ready?');
  return server;
}

// ask requires that the child sends the message back.
async function ask(message) {
  child.send(message);
  const [reply] = await once(child, 'message');
  assert.strictEqual(reply, message);
}

function count(server) {
  return new Promise((resolve, reject) => {
    server.getConnections((err, n) => (err ? reject(err) : resolve(n)));
  });
}

// close closes server. The result tells whether it has closed; its end resolves then.
function close(server) {
  const state = { closed: false };
  state.end = new Promise((resolve) => {
    server.close(() => { state.closed = true; resolve(); });
  });
  return state;
}

async function hold() {
  const server = await serve();
  assert.strictEqual(await count(server), 3);
  await ask('close one');
  assert.strictEqual(await count(server), 2);
  const state = close(server);
  await ask('close one');
  assert(!state.closed, 'closed before the last connection');
  await ask('close one');
  await state.end;
}

async function gone() {
  const server = await serve();
  assert.strictEqual(await count(server), 0);
  await close(server).end;
}

async function ignore() {
  const server = await serve();
  assert.strictEqual(await count(server), 3);
  const state = close(server);
  await ask('ready?');
  assert(!state.closed, 'closed while the child has the connections');
  child.disconnect();
  await state.end;
}

({ hold, close: gone, drop: gone, ignore })[what]().then(() => {
  if (child.connected) child.disconnect();
});
