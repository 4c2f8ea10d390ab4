'use strict';
// A server that passes its connections on to a child, which does with them
// argv[3], and wants to know what becomes of them. One server only: to the
// child, all that listen(0) are one.
const assert = require('assert');
const { once } = require('events');
const net = require('net');
const child = require('./peer')('node-hold');
const what = process.argv[3];

// serve passes three connections on.
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

async function ask(question) {
  child.send(question);
  const [answer] = await once(child, 'message');
  assert.strictEqual(answer, question);
}

function count(server) {
  return new Promise((resolve, reject) => {
    server.getConnections((err, n) => (err ? reject(err) : resolve(n)));
  });
}

// close returns what tells whether server has closed, and when.
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
