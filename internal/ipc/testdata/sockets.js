'use strict';
// Sends a socket of the requested kind, and then a ping to the process that
// received it. Answers a ping at each socket that it receives.
const assert = require('assert');
const dgram = require('dgram');
const { once } = require('events');
const fs = require('fs');
const net = require('net');
const peer = require('./peer')('node-sockets');

peer.on('message', ({ send, path, use }, handle) => {
  if (use) answerPing(use, handle);
  else sendAndPing(send, path);
});

async function sendAndPing(kind, path) {
  const { socket, ping } = await make[kind](path);
  await new Promise((sent) => peer.send({ use: kind }, socket, sent));
  const answer = await ping();
  assert.strictEqual(String(answer), 'pong\n');
  peer.send({ done: kind });
}

const make = {
  'tcp server': () => server({ port: 0, host: '127.0.0.1' }),
  'unix server': (path) => server({ path }),
  'tcp connection': () => connection({ port: 0, host: '127.0.0.1' }),
  'unix connection': (path) => connection({ path }),
  'udp socket': datagrams,
};

async function listen(where) {
  // Without the pause this process would read from the sent connection until the
  // acknowledgement arrives.
  const listening = net.createServer({ pauseOnConnect: true }).listen(where);
  await once(listening, 'listening');
  const { port, address } = listening.address();
  return [listening, port ? { port, host: address } : where];
}

async function server(where) {
  const [socket, there] = await listen(where);
  if (there.path) {
    // close() removes the path that listen() made, although the socket is in use.
    fs.renameSync(there.path, (there.path += '.kept'));
  }
  const ping = () => { socket.close(); return pingStream(net.connect(there)); };
  return { socket, ping };
}

async function connection(where) {
  const [listening, there] = await listen(where);
  const kept = net.connect(there);
  const [socket] = await once(listening, 'connection');
  listening.close();
  return { socket, ping: () => pingStream(kept) };
}

async function pingStream(socket) {
  socket.end('ping\n');
  let text = '';
  for await (const data of socket) text += data;
  return text;
}

async function datagrams() {
  const socket = dgram.createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  const ping = () => { socket.close(); return pingDatagram(port); };
  return { socket, ping };
}

async function pingDatagram(port) {
  const socket = dgram.createSocket('udp4');
  socket.send('ping\n', port, '127.0.0.1');
  const [text] = await once(socket, 'message');
  socket.close();
  return text;
}

function answerPing(kind, handle) {
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
