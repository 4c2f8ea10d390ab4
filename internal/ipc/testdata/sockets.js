'use strict';
// Gives away the kind of socket it is asked for, and then, from the other side
// of it, sends a ping to whoever has it now. Answers pings with what it is given.
const assert = require('assert');
const dgram = require('dgram');
const { once } = require('events');
const fs = require('fs');
const net = require('net');
const peer = require('./peer')('node-sockets');

peer.on('message', ({ give, path, use }, handle) => {
  if (use) answer(use, handle);
  else giveAndAsk(give, path);
});

async function giveAndAsk(kind, path) {
  const { given, ask } = await make[kind](path);
  await new Promise((sent) => peer.send({ use: kind }, given, sent));
  const answer = await ask(given);
  assert.strictEqual(String(answer), 'pong\n');
  peer.send({ asked: kind });
}

const make = {
  'tcp server': () => server({ port: 0, host: '127.0.0.1' }),
  'unix server': (path) => server({ path }),
  'tcp connection': () => connection({ port: 0, host: '127.0.0.1' }),
  'unix connection': (path) => connection({ path }),
  'udp socket': datagrams,
};

async function listen(where) {
  // Without the pause we would read from what we give away, until the
  // acknowledgement comes.
  const listening = net.createServer({ pauseOnConnect: true }).listen(where);
  await once(listening, 'listening');
  const { port, address } = listening.address();
  return [listening, port ? { port, host: address } : where];
}

async function server(where) {
  const [given, there] = await listen(where);
  if (there.path) {
    // close() removes the name that listen() made, whoever has the socket.
    fs.renameSync(there.path, (there.path += '.kept'));
  }
  return { given, ask: () => { given.close(); return ping(net.connect(there)); } };
}

async function connection(where) {
  const [listening, there] = await listen(where);
  const kept = net.connect(there);
  const [given] = await once(listening, 'connection');
  listening.close();
  return { given, ask: () => ping(kept) };
}

async function ping(socket) {
  socket.end('ping\n');
  let text = '';
  for await (const data of socket) text += data;
  return text;
}

async function datagrams() {
  const given = dgram.createSocket('udp4').bind(0, '127.0.0.1');
  await once(given, 'listening');
  const { port } = given.address();
  return { given, ask: () => { given.close(); return pingDatagram(port); } };
}

async function pingDatagram(port) {
  const socket = dgram.createSocket('udp4');
  socket.send('ping\n', port, '127.0.0.1');
  const [text] = await once(socket, 'message');
  socket.close();
  return text;
}

function answer(kind, handle) {
  const [, how] = kind.split(' ');
  ({ server: answerClient, connection: pong, socket: pongDatagram })[how](handle);
}

async function answerClient(server) {
  const [client] = await once(server, 'connection');
  server.close();
  pong(client);
}

async function pong(socket) {
  const [data] = await once(socket, 'data');
  assert.strictEqual(String(data), 'ping\n');
  socket.end('pong\n');
}

async function pongDatagram(socket) {
  const [data, from] = await once(socket, 'message');
  assert.strictEqual(String(data), 'ping\n');
  socket.send('pong\n', from.port, from.address, () => socket.close());
}
